#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Test check-layers.py: plant each kind of bad #include in a tree of its own and run the check on it."""
import pathlib
import subprocess
import sys
import tempfile

CHECK = pathlib.Path(__file__).parent / "check-layers.py"

PLANTED = {  # file, line: is it refused?
    ("base/block.c", '#include "rpc/wire/reader.h"'): True,
    ("rpc/wire/reader.c", '#include "rpc/link/hub/hub.h"'): True,
    ("rpc/link/hub/hub.c", '#  include "broker/sessions/session.h"'): True,
    ("rpc/link/hub/hub.c", '#include "rpc/schema/codec/codec.h"'): True,
    ("broker/services/call.c", '#include "clients/c/core/core.h"'): True,
    ("broker/services/call.c", "#include <zmq.h>"): True,
    ("clients/c/core/client.c", "#include <hiredis/hiredis.h>"): True,
    ("rpc/wire/writer.c", "#include <msgpack.h>"): True,
    ("examples/clock.c", '#include "base/clock.h"'): True,
    ("base/error.c", '#include "ferry/ferry.h"'): True,
    ("include/ferry/ferry.h", '#include "base/clock.h"'): True,
    ("rpc/link/inbox.c", '#include "rpc/link/hub/hub.h"'): True,
    ("rpc/schema/codec/pack.c", '#include "rpc/schema/text/text.h"'): True,
    ("rpc/schema/description/describe.c", '#include "rpc/schema/text/text.h"'): True,
    ("idl/source/report.c", '#include "idl/syntax/ast.h"'): True,
    ("idl/syntax/format.c", '#include "idl/emit/emit.h"'): True,
    ("idl/check/check.c", '#include "idl/emit/c-names.h"'): True,
    ("idl/emit/emit.c", '#include "idl/commands/commands.h"'): True,
    ("broker/stores/memory.c", '#include "broker/queues/queue.h"'): True,
    ("broker/queues/push.c", '#include "broker/admin/admin.h"'): True,
    ("broker/unknown/push.c", '#include "broker/queues/queue.h"'): True,
    ("broker/queues/push.c", '#include "broker/stores/store.h"'): False,
    ("rpc/schema/text/format.c", '#include "rpc/schema/codec/codec.h"'): False,
    ("idl/emit/emit.c", '#include "idl/syntax/ast.h"'): False,
    ("rpc/link/client/link.c", "#include <zmq.h>"): True,
    ("rpc/link/zmq/transport.c", "#include <zmq.h>"): False,
    ("rpc/link/hub/hub.c", "#include <zmq.h>"): True,
    ("rpc/link/hub/hub.c", '#include "base/block.h"'): False,
    ("cache/redis/redis.c", "#include <hiredis/hiredis.h>"): False,
    ("examples/clock.c", "#include <ferry/ferry.h>"): False,
    ("examples/clock.c", '#include "clock.h"'): False,
    ("clients/c/core/client.c", '#include "rpc/link/client/link.h"'): False,
}

failed = 0
for (file, line), refused in PLANTED.items():
    with tempfile.TemporaryDirectory() as root:
        path = pathlib.Path(root) / file
        path.parent.mkdir(parents=True)
        path.write_text(f"/* planted */\n{line}\n")
        run = subprocess.run([sys.executable, CHECK, root], capture_output=True, text=True)
        if (run.returncode != 0) != refused or (refused and f"{file}:2:" not in run.stdout):
            print(f"{file}: {line}: {'not seen' if refused else 'refused: ' + run.stdout}")
            failed += 1
sys.exit(failed > 0)
