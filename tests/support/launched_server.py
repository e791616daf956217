"""A server to be launched: python launched_server.py PORT LOG [flags of llama.cpp or vLLM].

Its rounds take a plain step and a tenth more for each draft token; 7 of 10 draft tokens are
accepted, in turn. LOG has a line for each start: the number of draft tokens.
"""

from __future__ import annotations

import json
import sys
from http.server import ThreadingHTTPServer

from fake_server import Fake, _Handler

STEP_S = 0.02


def main() -> None:
    port, log, flags = int(sys.argv[1]), sys.argv[2], sys.argv[3:]
    gamma, engine = 0, "llama.cpp"
    if "--speculative-config" in flags:
        config = json.loads(flags[flags.index("--speculative-config") + 1])
        gamma, engine = int(config["num_speculative_tokens"]), "vllm"
    elif flags:
        gamma = int(flags[flags.index("--spec-draft-n-max") + 1])
    with open(log, "a", encoding="utf-8") as file:
        file.write(f"{gamma}\n")
    if "broken" in flags:
        raise SystemExit("no such model")
    pattern = tuple(min(n, gamma) for n in (gamma, 1, gamma, 0, 2))
    step = STEP_S * (1.0 + 0.15 * gamma)
    fake = Fake(engine=engine, gamma=gamma, pattern=pattern, step_s=step)
    fake.places = [0] * gamma
    handler = type("Handler", (_Handler,), {"fake": fake})
    ThreadingHTTPServer(("127.0.0.1", port), handler).serve_forever()


if __name__ == "__main__":
    main()
