import asyncio
import contextlib
import dataclasses
import errno
import gzip
import shutil
import socket
import ssl
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from loopback import DONE, END, HEAD, Asked, HangUpError, Script, answer, chunk, event, hang, request, seconds, serving

from pipelines.fleet.models import Timeouts, Tls
from pipelines.wire import record as recording
from pipelines.wire.network import Resolver
from pipelines.wire.record import record
from pipelines.wire.slot import Slot, proxy_for, tls_context
from pipelines.wire.tape import Tape


def tape_of(
    script: Script,
    timeouts: Timeouts | None = None,
    tls: ssl.SSLContext | None = None,
    client_tls: ssl.SSLContext | None = None,
    **options: Any,
) -> Any:
    async def run() -> Any:
        async with serving(script, tls) as server, Slot(client_tls) as slot:
            tape = await record(request(server.url), timeouts or seconds(), slot=slot, **options)
            return tape, server

    return asyncio.run(run())


def block(for_s: float) -> None:
    time.sleep(for_s)


def body(tape: Tape) -> bytes:
    return b"".join(chunk.data for chunk in tape.chunks)


def test_a_good_stream_is_on_tape_with_every_stamp_in_order() -> None:
    async def script(asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(HEAD + chunk(event("")))
        await asyncio.sleep(0.05)
        writer.write(chunk(event("4")))
        await asyncio.sleep(0.05)
        writer.write(chunk(DONE) + END)

    tape, server = tape_of(script)
    assert (tape.end_reason, tape.status_code, tape.http_version, tape.error) == ("complete", 200, "HTTP/1.1", None)
    assert body(tape) == event("") + event("4") + DONE
    stamps = [tape.dns_ns, tape.tcp_ns, tape.conn_ns, tape.sent_ns, tape.headers_ns, *(c.at_ns for c in tape.chunks)]
    assert stamps == sorted(stamps)
    assert tape.tls_ns is None
    assert tape.conn_reused is False
    assert tape.chunks[1].at_ns - tape.chunks[0].at_ns >= 49_000_000
    assert tape.end_ns >= tape.chunks[-1].at_ns
    assert tape.header("Content-Type") == "text/event-stream"
    (asked,) = server.asked
    assert asked.headers["authorization"] == "Bearer sk-very-secret-1234"
    assert asked.headers["host"] in server.url
    assert "cookie" not in asked.headers


def test_a_schedule_s_lag_is_kept_and_absent_without_a_schedule() -> None:
    async def run() -> Any:
        async with serving(answer) as server, Slot() as slot:
            planned = slot.clock() - 7_000_000
            late = await record(request(server.url), seconds(), slot=slot, sched_ns=planned)
            return late, await record(request(server.url), seconds(), slot=slot)

    late, free = asyncio.run(run())
    assert late.sched_lag_ns >= 7_000_000
    assert free.sched_lag_ns is None


def test_a_second_request_on_a_slot_reuses_its_connection_and_says_so() -> None:
    async def run() -> Any:
        async with serving(answer) as server, Slot() as slot:
            tapes = [await record(request(server.url), seconds(), slot=slot) for _ in range(2)]
            return tapes, server.connections

    (first, second), connections = asyncio.run(run())
    assert connections == 1
    assert (first.conn_reused, second.conn_reused) == (False, True)
    assert (second.dns_ns, second.tcp_ns, second.conn_ns) == (None, None, 0)
    assert second.sent_ns is not None


def test_a_connection_that_the_server_closed_between_requests_is_replaced_without_a_failure() -> None:
    async def script(asked: Asked, writer: asyncio.StreamWriter) -> None:
        await answer(asked, writer)
        await writer.drain()
        raise HangUpError

    async def run() -> Any:
        async with serving(script) as server, Slot() as slot:
            tapes = []
            for _ in range(2):
                tapes.append(await record(request(server.url), seconds(), slot=slot))
                await asyncio.sleep(0.02)
            return tapes

    assert [(tape.end_reason, tape.conn_reused) for tape in asyncio.run(run())] == [("complete", False)] * 2


def test_a_refused_port_is_a_connect_error() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]

    async def run() -> Any:
        async with Slot() as slot:
            return await record(request(f"http://127.0.0.1:{port}/v1"), seconds(), slot=slot)

    tape = asyncio.run(run())
    assert tape.end_reason == "connect_error"
    assert tape.dns_ns is not None
    assert (tape.tcp_ns, tape.conn_ns, tape.status_code, tape.conn_reused) == (None, None, None, None)


def resolved(failure: Exception, *, proven: bool = False) -> Any:
    async def run() -> Any:
        good = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 9))]

        def getaddrinfo(host: str, port: int, **_: Any) -> Any:
            if host == "known.test":
                return good
            raise failure

        resolve = Resolver(getaddrinfo)
        if proven:
            assert await resolve("known.test", 9) == [(socket.AF_INET, ("127.0.0.1", 9))]
        async with Slot(resolve=resolve) as slot:
            return await record(request("http://gone.test/v1"), seconds(), slot=slot)

    return asyncio.run(run())


def test_a_name_that_does_not_exist_is_a_dns_error() -> None:
    tape = resolved(socket.gaierror(socket.EAI_NONAME, "Name or service not known"))
    assert (tape.end_reason, tape.dns_ns) == ("dns_error", None)
    assert "gone.test" in tape.error


def test_a_resolver_that_is_gone_is_our_fault_and_a_broken_zone_is_not() -> None:
    again = socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
    assert resolved(again).end_reason == "local_error"
    assert resolved(again, proven=True).end_reason == "dns_error"


def test_a_hung_resolver_is_a_connect_timeout_and_delays_no_other_lookup() -> None:
    async def run() -> Any:
        release = threading.Event()

        def getaddrinfo(host: str, port: int, **_: Any) -> Any:
            if host.startswith("slow"):
                release.wait(10)
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

        resolve = Resolver(getaddrinfo)
        async with serving(answer) as server:
            port = server.url.split(":")[2].split("/")[0]
            slots = [Slot(resolve=resolve) for _ in range(21)]
            names = [f"slow{n}.test" for n in range(20)] + ["quick.test"]
            tapes = await asyncio.gather(
                *(
                    record(request(f"http://{name}:{port}/v1"), seconds(connect=0.5), slot=slot)
                    for name, slot in zip(names, slots, strict=True)
                )
            )
            release.set()
            for slot in slots:
                await slot.aclose()
            return tapes

    *slow, quick = asyncio.run(run())
    assert {tape.end_reason for tape in slow} == {"timeout_connect"}
    assert quick.end_reason == "complete"


def test_the_next_address_is_tried_when_the_first_is_dead() -> None:
    async def run() -> Any:
        async with serving(answer) as server:
            port = int(server.url.split(":")[2].split("/")[0])
            found = [(socket.AF_INET6, 1, 6, "", ("::1", port, 0, 0)), (socket.AF_INET, 1, 6, "", ("127.0.0.1", port))]
            async with Slot(resolve=Resolver(lambda *_, **__: found)) as slot:
                return await record(request(f"http://two.test:{port}/v1"), seconds(), slot=slot)

    assert asyncio.run(run()).end_reason == "complete"


def test_no_file_descriptor_left_is_our_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> Any:
        raise OSError(errno.EMFILE, "Too many open files")

    async def run() -> Any:
        async with serving(answer) as server, Slot() as slot:
            monkeypatch.setattr("pipelines.wire.network.socket.socket", refuse)
            return await record(request(server.url), seconds(), slot=slot)

    tape = asyncio.run(run())
    assert tape.end_reason == "local_error"
    assert "Too many open files" in tape.error


def test_a_header_that_http_forbids_is_our_fault() -> None:
    async def run() -> Any:
        async with serving(answer) as server, Slot() as slot:
            bad = dataclasses.replace(request(server.url), headers=(("x-a", "one\r\ntwo"),))
            return await record(bad, seconds(), slot=slot)

    assert asyncio.run(run()).end_reason == "local_error"


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if shutil.which("openssl") is None:
        pytest.skip("the openssl command line makes the test certificates")
    folder = tmp_path_factory.mktemp("tls")

    def openssl(*words: str) -> None:
        subprocess.run(["openssl", *words], check=True, capture_output=True, cwd=folder)

    curve = ("-pkeyopt", "ec_paramgen_curve:prime256v1")
    openssl("req", "-newkey", "ec", *curve, "-nodes", "-keyout", "key.pem", "-out", "r.pem", "-subj", "/CN=127.0.0.1")
    for name, alt, days in (
        ("good", "IP:127.0.0.1", "2"),
        ("expired", "IP:127.0.0.1", "-1"),
        ("other", "DNS:else.test", "2"),
    ):
        (folder / "ext").write_text(f"subjectAltName={alt}\nbasicConstraints=critical,CA:TRUE\n")
        openssl(
            *("x509", "-req", "-in", "r.pem", "-signkey", "key.pem", "-days", days),
            *("-extfile", "ext", "-out", f"{name}.pem"),
        )
    return folder


def tls_tape(folder: Path, name: str, script: Script = answer, **client: Any) -> Any:
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(folder / f"{name}.pem", folder / "key.pem")
    # asyncio's server logs a client that hangs up in the handshake; that is what these tests are about.
    return tape_of(script, tls=server, client_tls=tls_context(Tls(**client)))[0]


def test_a_certificate_that_a_named_authority_signed_is_taken_and_the_handshake_stamped(certificates: Path) -> None:
    tape = tls_tape(certificates, "good", ca_file=str(certificates / "good.pem"))
    assert tape.end_reason == "complete", tape.error
    assert tape.tcp_ns < tape.tls_ns == tape.conn_ns < tape.sent_ns


@pytest.mark.parametrize(
    ("name", "is_trusted", "word"),
    [("good", False, "self-signed"), ("expired", True, "expired"), ("other", True, "127.0.0.1")],
)
def test_a_certificate_that_cannot_be_trusted_is_a_tls_error(
    certificates: Path, name: str, is_trusted: bool, word: str
) -> None:
    trusted = {"ca_file": str(certificates / f"{name}.pem")} if is_trusted else {}
    tape = tls_tape(certificates, name, **trusted)
    assert tape.end_reason == "tls_error"
    assert word in tape.error
    assert tape.tcp_ns is not None
    assert (tape.tls_ns, tape.conn_ns) == (None, None)


def test_verify_false_takes_any_certificate(certificates: Path) -> None:
    assert tls_tape(certificates, "expired", verify=False).end_reason == "complete"


def test_a_server_that_speaks_no_tls_is_a_tls_error() -> None:
    async def run() -> Any:
        async with serving(answer) as server, Slot() as slot:
            return await record(request(server.url.replace("http:", "https:")), seconds(connect=0.5), slot=slot)

    assert asyncio.run(run()).end_reason in ("tls_error", "timeout_connect")


def test_slots_of_equal_tls_settings_share_one_context() -> None:
    assert tls_context(Tls()) is tls_context(Tls(), None)
    assert tls_context(Tls(verify=False)) is not tls_context(Tls())


def test_a_server_that_never_accepts_the_handshake_is_a_connect_timeout() -> None:
    async def run() -> Any:
        async def mute(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read(10)
            await asyncio.sleep(0.5)
            writer.close()

        listener = await asyncio.start_server(mute, "127.0.0.1", 0)
        port = listener.sockets[0].getsockname()[1]
        async with Slot() as slot:
            tape = await record(request(f"https://127.0.0.1:{port}/v1"), seconds(connect=0.2), slot=slot)
        await asyncio.sleep(0.5)
        listener.close()
        await listener.wait_closed()
        return tape

    assert asyncio.run(run()).end_reason == "timeout_connect"


def test_silence_before_the_body_is_a_first_byte_timeout_with_or_without_headers() -> None:
    async def only_headers(asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(HEAD)
        await hang(asked, writer)

    for script, status in ((hang, None), (only_headers, 200)):
        tape, _ = tape_of(script, seconds(first_token=0.2))
        assert (tape.end_reason, tape.status_code, tape.chunks) == ("timeout_first_byte", status, ())
        assert tape.end_ns >= 190_000_000


def test_silence_within_the_body_is_an_idle_timeout() -> None:
    async def script(asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(HEAD + chunk(event("a")))
        await hang(asked, writer)

    tape, _ = tape_of(script, seconds(idle=0.2))
    assert tape.end_reason == "timeout_idle"
    assert body(tape) == event("a")


def test_a_slow_drip_outlives_the_idle_budget_and_ends_at_the_total() -> None:
    async def script(asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(HEAD)
        while True:
            writer.write(chunk(b": ping\n\n"))
            await asyncio.sleep(0.05)

    tape, _ = tape_of(script, seconds(first_token=0.3, idle=0.2, total=0.5))
    assert tape.end_reason == "timeout_total"
    assert len(tape.chunks) > 3


def test_a_finished_stream_that_stays_open_gets_the_longer_budget_of_a_stalled_close(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(recording, "STALLED_CLOSE_NS", 400_000_000)

    async def script(asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(HEAD + chunk(event("a")) + chunk(DONE))
        await hang(asked, writer)

    for idle in (0.1, 3):
        tape, _ = tape_of(script, seconds(idle=idle))
        assert tape.end_reason == "timeout_idle"
        assert tape.end_ns - tape.chunks[-1].at_ns >= 400_000_000
        assert tape.end_ns < 2_000_000_000


def test_a_body_cut_short_is_disconnected_and_what_came_is_kept() -> None:
    async def chunked(asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(HEAD + chunk(event("a")))
        await writer.drain()
        raise HangUpError

    async def counted(asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n" + event("a"))
        await writer.drain()
        raise HangUpError

    for script in (chunked, counted):
        tape, _ = tape_of(script)
        assert tape.end_reason == "disconnected"
        assert body(tape) == event("a")


def test_a_reset_is_disconnected() -> None:
    async def script(asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(HEAD + chunk(event("a")))
        await writer.drain()
        linger = b"\x01\x00\x00\x00\x00\x00\x00\x00"
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        writer.transport.abort()
        raise HangUpError

    assert tape_of(script)[0].end_reason == "disconnected"


def test_a_hang_up_before_any_answer_is_disconnected() -> None:
    async def script(asked: Asked, writer: asyncio.StreamWriter) -> None:
        raise HangUpError

    tape, _ = tape_of(script)
    assert (tape.end_reason, tape.status_code) == ("disconnected", None)


def test_bytes_that_are_no_http_are_a_protocol_error() -> None:
    async def script(asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(b"SSH-2.0-OpenSSH_9.2\r\n\r\n")
        await hang(asked, writer)

    assert tape_of(script)[0].end_reason == "protocol_error"


def test_a_body_without_framing_is_complete_when_the_server_closes() -> None:
    async def script(asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n" + event("a"))
        await writer.drain()
        raise HangUpError

    assert tape_of(script)[0].end_reason == "complete"


def test_a_body_of_100_megabytes_is_cut_at_the_limit() -> None:
    async def script(asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 104857600\r\n\r\n")
        for _ in range(1600):
            writer.write(bytes(65536))
            await writer.drain()

    tape, _ = tape_of(script, seconds(total=30), max_bytes=1 << 20)
    assert tape.end_reason == "too_large"
    assert 1 << 20 < len(body(tape)) <= (1 << 20) + (1 << 18)


def test_an_endless_stream_of_tiny_chunks_is_cut_by_their_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recording, "_MAX_CHUNKS", 500)

    async def script(asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(HEAD)
        while True:
            writer.write(chunk(b"\n") * 100)
            await writer.drain()

    tape, _ = tape_of(script)
    assert (tape.end_reason, len(tape.chunks)) == ("too_large", 501)


def test_a_gzip_bomb_stays_as_small_as_it_was_sent() -> None:
    bomb = gzip.compress(bytes(50 << 20))

    async def script(asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: %d\r\n\r\n" % len(bomb) + bomb)

    tape, _ = tape_of(script)
    assert tape.end_reason == "complete"
    assert body(tape) == bomb


def test_a_redirect_is_not_followed_and_the_key_goes_nowhere_else() -> None:
    async def run() -> Any:
        async with serving(answer) as other:

            async def script(asked: Asked, writer: asyncio.StreamWriter) -> None:
                there = f"{other.url}/chat/completions".encode()
                writer.write(b"HTTP/1.1 307 Go\r\nlocation: " + there + b"\r\ncontent-length: 0\r\n\r\n")

            async with serving(script) as server, Slot() as slot:
                return await record(request(server.url), seconds(), slot=slot), other.asked

    tape, asked = asyncio.run(run())
    assert (tape.end_reason, tape.status_code, asked) == ("complete", 307, [])


def test_an_early_refusal_of_a_large_request_is_read() -> None:
    async def run() -> Any:
        async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                await reader.readuntil(b"\r\n\r\n")
                writer.write(b"HTTP/1.1 413 Too large\r\ncontent-length: 2\r\nconnection: close\r\n\r\nno")
                with contextlib.suppress(ConnectionError):  # the client leaves with bytes of its own unsent
                    await writer.drain()
                    await reader.read()
            finally:
                writer.transport.abort()

        listener = await asyncio.start_server(refuse, "127.0.0.1", 0)
        port = listener.sockets[0].getsockname()[1]
        async with Slot() as slot:
            big = dataclasses.replace(request(f"http://127.0.0.1:{port}/v1"), body=b"x" * (4 << 20))
            tape = await record(big, seconds(), slot=slot)
        listener.close()
        await listener.wait_closed()
        return tape

    tape = asyncio.run(run())
    assert (tape.status_code, body(tape)) == (413, b"no")


def test_a_blocked_event_loop_is_on_the_tape_as_our_lag() -> None:
    async def script(asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(HEAD + chunk(event("a")))
        await asyncio.sleep(0.05)
        block(0.3)
        writer.write(chunk(DONE) + END)

    tape, _ = tape_of(script)
    assert tape.loop_lag_max_ns >= 200_000_000


def test_a_quiet_loop_blames_nobody_for_an_older_stall() -> None:
    async def run() -> Any:
        async with serving(answer) as server, Slot() as slot:
            await record(request(server.url), seconds(), slot=slot)
            block(0.3)
            await asyncio.sleep(0.05)
            return await record(request(server.url), seconds(), slot=slot)

    assert asyncio.run(run()).loop_lag_max_ns < 250_000_000


def test_cancelling_a_recording_frees_the_gate_and_the_slot() -> None:
    async def run() -> Any:
        async with serving(hang) as server, Slot() as slot:
            task = asyncio.create_task(record(request(server.url), seconds(), slot=slot))
            await asyncio.sleep(0.05)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            server.script = answer
            return await record(request(server.url), seconds(), slot=slot)

    assert asyncio.run(run()).end_reason == "complete"


def test_a_proxy_is_named_by_the_environment_only_when_asked_for() -> None:
    env = {"HTTPS_PROXY": "http://proxy.test:3128", "NO_PROXY": "localhost,.corp.test"}
    assert proxy_for("https://api.openai.com/v1", env) == "http://proxy.test:3128"
    assert proxy_for("https://llm.corp.test/v1", env) is None
    assert proxy_for("http://api.openai.com/v1", env) is None
    assert proxy_for("https://api.openai.com/v1", {}) is None


def test_a_request_goes_through_a_proxy_that_is_handed_in() -> None:
    async def run() -> Any:
        async with serving(answer) as proxy, Slot(proxy=proxy.url.removesuffix("/v1")) as slot:
            tape = await record(request("http://far.test/v1"), seconds(), slot=slot)
            return tape, proxy.asked[0].line

    tape, line = asyncio.run(run())
    assert tape.end_reason == "complete", tape.error
    assert line.startswith("POST http://far.test/v1/chat/completions")
