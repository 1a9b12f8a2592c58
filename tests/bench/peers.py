"""The peers, AIPerf and GuideLLM, in environments of their own: installed on demand, run offline, their export read.

They need a tokenizer although the server counts the tokens; a vocabulary of one word, made here, is enough and spares
a download. Figures are the peers' own: nothing of theirs is computed again.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.bench.options import BenchError
from tests.bench.sample import Sample
from tests.bench.truth import MODEL

AIPERF: Final = "aiperf==0.13.0"
GUIDELLM: Final = "guidellm==0.8.1"
TORCH: Final = "torch==2.13.0"
PROMPT: Final = "What is 17 * 23? Reply with the number only."
_TOKENIZER: Final = "arguslab/bench"
_REVISION: Final = "0" * 40
_INSTALL_S: Final = 1_800
_RUN_S: Final = 300


class PeerError(BenchError):
    """A peer cannot be installed or run; the message says why."""


@dataclass(frozen=True)
class Peers:
    """Where the peers live and work."""

    cache: Path
    """Environments, kept between runs."""
    work: Path
    """Prompts, tokenizer and exports of this run."""

    def install(self, requirement: str, *, first: Sequence[str] = ()) -> Path:
        """Return the environment's folder, made if it is not there. Raises PeerError when it cannot be."""
        folder = self.cache / requirement.replace("==", "-")
        stamp = folder / "installed"
        if stamp.exists():
            return folder
        python = str(folder / "bin" / "python")
        uv = str(Path(sys.executable).with_name("uv"))
        # Torch from pip before the rest: pip also looks where PIP_FIND_LINKS points, which may hold a build for CPUs;
        # resolved by uv alone, several gigabytes of CUDA come along.
        steps = [
            [uv, "venv", "--seed", "--quiet", "--clear", "--python", sys.executable, str(folder)],
            *([python, "-m", "pip", "install", "--quiet", name] for name in first),
            [uv, "pip", "install", "--quiet", "--python", python, requirement],
        ]
        self.cache.mkdir(parents=True, exist_ok=True)
        for step in steps:
            _run(step, os.environ, _INSTALL_S)
        stamp.touch()
        return folder

    def aiperf(self, url: str, streams: int, requests: int, warmup: int) -> list[Sample]:
        """Return what AIPerf measured of ``requests`` streamed chats, ``streams`` at once, after ``warmup`` others."""
        folder = self.install(AIPERF)
        out = self.work / "aiperf"
        prompts = self.work / "prompts.jsonl"
        prompts.write_text(f"{json.dumps({'text': PROMPT})}\n" * 100, encoding="utf-8")
        command = [
            *(str(folder / "bin" / "aiperf"), "profile", "--model", MODEL, "--url", url.removesuffix("/v1")),
            *("--endpoint-type", "chat", "--streaming", "--tokenizer", _TOKENIZER, "--use-server-token-count"),
            *("--input-file", str(prompts), "--custom-dataset-type", "single-turn"),
            *("--concurrency", str(streams), "--request-count", str(requests)),
            *("--warmup-request-count", str(warmup), "--artifact-dir", str(out), "--export-level", "records"),
            *("--ui", "none", "--no-server-metrics", "--no-gpu-telemetry"),
        ]
        _run(command, self._offline(), _RUN_S)
        lines = (out / "profile_export.jsonl").read_text(encoding="utf-8").splitlines()
        return read_aiperf(map(json.loads, lines))

    def guidellm(self, url: str, streams: int, requests: int, warmup: int) -> list[Sample]:
        """Return what GuideLLM measured; its first ``warmup`` requests are left out."""
        folder = self.install(GUIDELLM, first=[TORCH])
        out = self.work / "guidellm.json"
        prompts = self.work / "prompts.txt"
        prompts.write_text(f"{PROMPT}\n" * (requests + warmup), encoding="utf-8")
        environment = self._offline()
        command = [
            *(str(folder / "bin" / "guidellm"), "run"),
            *("--backend", f"kind=openai_http,target={url.removesuffix('/v1')},model={MODEL}"),
            *("--profile", f"kind=concurrent,streams={streams}"),
            *("--constraint", f"kind=max_requests,count={requests + warmup}"),
            *("--tokenizer", f"kind=hf_auto,model={self._snapshot()}"),
            *("--data", f"kind=text_file,path={prompts}"),
            *("--output", f"kind=json,path={out}", "--disable-console"),
        ]
        _run(command, environment, _RUN_S)
        return read_guidellm(json.loads(out.read_text(encoding="utf-8")), warmup)

    def _offline(self) -> dict[str, str]:
        """Return an environment in which a peer reaches nothing but the server, and writes only into ``work``."""
        snapshot = self._snapshot()
        snapshot.mkdir(parents=True, exist_ok=True)
        (snapshot / "tokenizer.json").write_text(json.dumps(_ONE_WORD), encoding="utf-8")
        settings = {"tokenizer_class": "PreTrainedTokenizerFast", "unk_token": "[UNK]"}
        (snapshot / "tokenizer_config.json").write_text(json.dumps(settings), encoding="utf-8")
        refs = snapshot.parents[1] / "refs"
        refs.mkdir(exist_ok=True)
        (refs / "main").write_text(_REVISION, encoding="utf-8")
        own = {"HOME": str(self.work), "HF_HOME": str(self.work / "hf"), "HF_HUB_OFFLINE": "1", "DO_NOT_TRACK": "1"}
        return {name: value for name, value in os.environ.items() if "proxy" not in name.lower()} | own

    def _snapshot(self) -> Path:
        """Return where Hugging Face's cache keeps a tokenizer: AIPerf, offline, accepts no other place."""
        return self.work / "hf" / "hub" / f"models--{_TOKENIZER.replace('/', '--')}" / "snapshots" / _REVISION


_ONE_WORD: Final[dict[str, Any]] = {
    "version": "1.0",
    "added_tokens": [],
    "pre_tokenizer": {"type": "Whitespace"},
    "model": {"type": "WordLevel", "vocab": {"[UNK]": 0}, "unk_token": "[UNK]"},
}


def read_aiperf(records: Iterable[Mapping[str, Any]]) -> list[Sample]:
    """Return the samples of AIPerf's per-request records, the warm-up left out. Raises PeerError for a failed one."""
    samples = []
    for record in records:
        about, metrics = record["metadata"], record["metrics"]
        if about["benchmark_phase"] != "profiling":
            continue
        if record.get("error") or "time_to_first_token" not in metrics:
            raise PeerError(f"AIPerf failed on a request: {record.get('error')}")
        samples.append(
            Sample(
                about["x_request_id"],
                float(metrics["time_to_first_token"]["value"]),
                float(metrics["inter_token_latency"]["value"]),
            )
        )
    return samples


def read_guidellm(report: Mapping[str, Any], warmup: int) -> list[Sample]:
    """Return the samples of GuideLLM's report but the first ``warmup`` by start. Raises PeerError for a failed one."""
    requests = report["benchmarks"][0]["requests"]
    if requests.get("errored"):
        raise PeerError(f"GuideLLM failed on {len(requests['errored'])} requests")
    ordered = sorted(requests["successful"], key=lambda request: float(request["request_start_time"]))
    return [
        Sample(
            request["response_id"],
            float(request["time_to_first_token_ms"]),
            float(request["inter_token_latency_ms"]),
        )
        for request in ordered[warmup:]
    ]


def _run(command: Sequence[str], environment: Mapping[str, str], timeout_s: float) -> None:
    name = Path(command[0]).name
    try:
        done = subprocess.run(
            command, env=dict(environment), capture_output=True, text=True, timeout=timeout_s, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise PeerError(f"{name}: {error}") from error
    if done.returncode:
        words = " ".join((done.stderr or done.stdout).split())[-300:]
        raise PeerError(f"{name} ended with code {done.returncode}: {words}")
