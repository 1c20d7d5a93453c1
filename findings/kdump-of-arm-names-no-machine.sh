#!/usr/bin/env bash
# QEMU 1:7.2+dfsg-7+deb12u18+b3 (Debian 12), the same in 10.0.2 and 11.1.3: a kdump that dump-guest-memory
# writes of an AArch64 guest names its machine "Unknown". Of x86 it is "x86_64" or "i686", of
# s390x "S390X". The header has no other field for the architecture, so that a reader must guess
# it from the notes, whose registers have as many bytes on other machines. The ELF dump of the
# same guest says EM_AARCH64.
#
# Seen: elf: e_machine 183; kdump: utsname.machine "Unknown"
#
# Needs a Debian 12 with apt-get, dpkg, python3. Leaves nothing behind.
set -euo pipefail
version=1:7.2+dfsg-7+deb12u18+b3
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
mkdir -p archives/partial root
touch status
# All that it depends on, as if nothing were installed.
apt-get -qq -y --no-install-recommends --download-only -o Dir::State::status="$folder/status" \
    -o Dir::Cache::archives="$folder/archives" -o Debug::NoLocking=1 -o APT::Sandbox::User=root \
    install "qemu-system-arm=$version" > /dev/null
for package in archives/*.deb; do dpkg -x "$package" root; done
cat > ask.py <<'PYTHON'
import json, os, socket, struct, subprocess, sys, time
program, libraries = sys.argv[1:]
emulator = subprocess.Popen(
    [program, "-L", "root/usr/share/qemu", "-M", "virt", "-cpu", "cortex-a57", "-m", "16", "-S", "-nodefaults",
     "-display", "none", "-qmp", "unix:qmp,server=on,wait=off"], env={**os.environ, "LD_LIBRARY_PATH": libraries})
monitor = socket.socket(socket.AF_UNIX)
for _ in range(100):
    try:
        monitor.connect("qmp")
        break
    except OSError:
        time.sleep(0.1)
lines = monitor.makefile("rw")
lines.readline()
def execute(command, **arguments):
    lines.write(json.dumps({"execute": command, "arguments": arguments}) + "\n")
    lines.flush()
    while True:
        answer = json.loads(lines.readline())
        if "error" in answer:
            sys.exit(str(answer))
        if "return" in answer:
            return answer["return"]
execute("qmp_capabilities")
for form in "elf", "kdump-zlib":
    execute("dump-guest-memory", paging=False, protocol=f"file:{os.path.abspath(form)}", format=form)
execute("quit")
emulator.wait()
(machine,) = struct.unpack_from("<H", open("elf", "rb").read(64), 18)
# The flattened form: 4096 bytes, then the first record's offset and size; in the record a
# signature of 8 bytes, a version of 4, and six names of 65 bytes, the machine's fifth.
kdump = open("kdump-zlib", "rb").read(8192)
assert kdump[:12] == b"makedumpfile" and kdump[4112:4120] == b"KDUMP   "
name = kdump[4112 + 12 + 4 * 65:][:65].split(b"\0")[0].decode()
print(f'elf: e_machine {machine}; kdump: utsname.machine "{name}"')
PYTHON
libraries=$folder/root/usr/lib/x86_64-linux-gnu:$folder/root/lib/x86_64-linux-gnu
seen=$(python3 ask.py root/usr/bin/qemu-system-aarch64 "$libraries")
echo "$seen"
[ "$seen" = 'elf: e_machine 183; kdump: utsname.machine "Unknown"' ] || {
    echo "changed" >&2
    exit 1
}
