#!/usr/bin/python3
"""Thousands of idle keep-alive connections: what they take of the throughput of the busy ones, and
of memory, beside a libmicrohttpd that answers a fixed body.

usage: bench_idle.py BUILD_DIR [CONNECTIONS]      (default 10,000; needs wrk, cc, `ulimit -n` above it)
  BENCH_DATA=FOLDER  MovieLens 1M; BENCH_DIR=FOLDER holds mhd_hello.c
"""
import os, re, resource, socket, statistics, subprocess, sys, tempfile, time

build, here = sys.argv[1], os.path.dirname(os.path.abspath(__file__))
count = int(sys.argv[2]) if len(sys.argv) > 2 else 10000
shared = os.environ.get("RECSYSD_SHARED") or next(
    p for p in (here + "/../../../shared", here + "/../../../../shared") if os.path.isdir(p))
data = os.environ.get("BENCH_DATA", shared + "/data/ml-1m")
hello_c = os.environ.get("BENCH_DIR", shared + "/bench") + "/mhd_hello.c"
resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
environment = {k: v for k, v in os.environ.items()
               if not k.startswith(("RECSYSD_", "OPENBLAS_"))}


def resident(pid):
    with open(f"/proc/{pid}/status") as status:
        return int(re.search(r"VmRSS:\s+(\d+)", status.read())[1]) * 1024


def rate(port, script):
    command = ["wrk", "-t1", "-c32", "-d2s", "-s", f"{here}/users.lua"] if script else \
        ["wrk", "-t1", "-c32", "-d2s"]
    out = subprocess.run(command + [f"http://127.0.0.1:{port}/recommend"], check=True,
                         capture_output=True, text=True).stdout
    if "Non-2xx" in out or "Socket errors" in out:
        sys.exit(out)
    return float(re.search(r"Requests/sec:\s+([\d.]+)", out)[1])


def open_idle(port):
    """Each sends one whole request and reads its answer, then says nothing."""
    request = b"GET /recommend?user_id=17 HTTP/1.1\r\nHost: x\r\n\r\n"
    sockets = []
    for _ in range(count):
        one = socket.create_connection(("127.0.0.1", port))
        one.sendall(request)
        if not one.recv(65536).startswith(b"HTTP/1.1 200"):
            sys.exit(f"connection {len(sockets)}: not answered 200")
        sockets.append(one)
    return sockets


def measure(name, process, port, script):
    for _ in range(100):
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            break
        except OSError:
            time.sleep(0.1)
    rate(port, script)
    before, alone = resident(process.pid), statistics.median(rate(port, script) for _ in range(3))
    idle = open_idle(port)
    bytes_each = (resident(process.pid) - before) / count
    beside = statistics.median(rate(port, script) for _ in range(3))
    print(f"{name:8} {alone:9.0f} requests/s, beside {len(idle)} idle {beside:9.0f}"
          f"   {beside / alone:.2f} x   {bytes_each:6.0f} bytes each")
    process.terminate()
    process.wait()
    return bytes_each


with tempfile.TemporaryDirectory() as work:
    recsysd, quiet = build + "/src/app/recsysd", {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    source = open(hello_c).read().replace("CONNECTION_LIMIT, 2000", f"CONNECTION_LIMIT, {count + 100}")
    with open(work + "/hello.c", "w") as file:
        file.write(source)
    subprocess.run(["cc", "-O2", "-w", "-o", work + "/hello", work + "/hello.c", "-lmicrohttpd"], check=True)
    subprocess.run([recsysd, "import", "--db", work + "/db", "--format", "movielens-1m", data],
                   check=True, env=environment, **quiet)
    subprocess.run([recsysd, "train", "--db", work + "/db", "--model", "als", "--set", "factors=64",
                    "--out", work + "/model"], check=True, env=environment, **quiet)
    library = measure("hello", subprocess.Popen([work + "/hello", "18490", "2", "epoll"]), 18490, False)
    ours = measure("recsysd", subprocess.Popen(
        [recsysd, "serve", "--db", work + "/db", "--model-file", work + "/model", "--listen",
         "127.0.0.1:18491", "--workers", "2", "--connections", str(count + 100), "--idle-timeout-s", "300"],
        env=environment, **quiet), 18491, True)
    print(f"beyond the library's own: {ours - library:.0f} bytes a connection")
