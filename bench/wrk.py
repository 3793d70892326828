# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""wrk (Debian: wrk): puts load on servers that answer faster than Python asks."""

import json
import re
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

_SCRIPT = """
local bodies = {}
local function byte(hex) return string.char(tonumber(hex, 16)) end
for line in io.lines("%s") do bodies[#bodies + 1] = line:gsub("..", byte) end
local i = 0
wrk.method = "POST"
request = function()
    i = i %% #bodies + 1
    return wrk.format(nil, "%s", %s, bodies[i])
end
"""


def post_rate(
    url: str, path: str, content_type: str, bodies: Sequence[bytes], *, connections: int, seconds: int
) -> float:
    """Successful answers per second to these bodies, sent over and over."""
    with tempfile.TemporaryDirectory() as scratch:
        data, script = Path(scratch) / "bodies", Path(scratch) / "post.lua"
        data.write_text("".join(body.hex() + "\n" for body in bodies))
        headers = f'{{["Content-Type"] = {json.dumps(content_type)}}}'
        script.write_text(_SCRIPT % (data, path, headers))
        command: list[str | Path] = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "-s", script, url]
        output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return _succeeded(output) / seconds


def _succeeded(output: str) -> int:
    total = re.search(r"(\d+) requests in", output)
    if total is None:
        raise RuntimeError(f"wrk said:\n{output}")
    refused = re.search(r"Non-2xx or 3xx responses: (\d+)", output)
    return int(total[1]) - (int(refused[1]) if refused else 0)
