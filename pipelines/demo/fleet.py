"""The fleet.yaml of the demo: ten simulated endpoints at three simulated providers, no key needed anywhere."""

_TEMPLATE = """\
# A SIMULATED fleet, written by `arguslab demo`. Every endpoint below is played by a small server on this machine:
# its figures are real measurements of that server and say nothing about any real provider. It needs no keys.
#
# To watch your own endpoints instead, replace this file. This is all it takes:
#
#   providers:
#     openai:
#       type: openai            # the key is read from the environment variable OPENAI_API_KEY
#
version: 1
demo: true # pages, marts and alerts say "simulated" wherever these endpoints appear
location: demo
interval: 1m
timeouts:
  total: 40s # shorter than the interval, so that an attempt is over before the next is due

projects:
  default:
    owner: demo
    probe_budget: $1/day # simulated endpoints cost nothing; a real project stops probing at this sum

providers:
  # Speaks OpenAI's dialect: steady-2, bundling-1 (eight tokens per event), reasoning-3 (thinks first), flaky-1,
  # rate-limited-1 (429 in its busy minutes), wrong-answer-1 (cannot always multiply).
  sim-openai:
    type: custom_openai_compatible
    base_url: http://127.0.0.1:{port}/openai/v1

  # Speaks Anthropic's dialect: slow-2 (two seconds to its first token), daily-outage-1 (out of order once a day).
  sim-anthropic:
    type: anthropic
    base_url: http://127.0.0.1:{port}/anthropic

  # Speaks Ollama's dialect: disconnecting-1 (hangs up in the middle of an answer), local-1.
  sim-ollama:
    type: ollama
    base_url: http://127.0.0.1:{port}/ollama

endpoints:
  "sim-openai/reasoning-3":
    max_tokens: 256 # reasoning is paid for first: with a small budget nothing visible would be left
  "sim-anthropic/slow-2":
    promises:
      ttft_p95: 4s
  "sim-openai/steady-2":
    promises:
      availability: 99.9%
      ttft_p95: 500ms

promises:
  availability: 99%
  fail_threshold: 3
  recover_threshold: 2

channels:
  console:
    type: console

# Break an endpoint and watch it being noticed:
#   curl -X POST http://127.0.0.1:{port}/control -d '{{"model": "steady-2", "fault": "overloaded_529", "for_s": 300}}'
# and heal it before its time:
#   curl -X POST http://127.0.0.1:{port}/control -d '{{"model": "steady-2", "fault": "none", "for_s": 0}}'
"""


def demo_fleet_yaml(port: int) -> str:
    """Return a commented fleet.yaml for the demo server on a loopback port."""
    return _TEMPLATE.format(port=port)
