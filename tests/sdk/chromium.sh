#!/bin/sh
# Prints the command that starts Chromium: the system's, or Debian's unpacked into DIRECTORY, which
# changes nothing outside of it.
#
# usage: chromium.sh DIRECTORY
set -eu

for name in chromium chromium-browser google-chrome; do
    if found=$(command -v "$name"); then
        echo "$found"
        exit
    fi
done

mkdir -p "$1"
home=$(cd "$1" && pwd)
start=$home/chromium
if [ ! -x "$start" ]; then
    command -v apt-get > /dev/null || { echo "no chromium, and no apt-get to fetch it" >&2; exit 1; }
    # Lists may be old or missing; refreshing them needs root, and may fail without harm.
    apt-get update -qq > /dev/null 2>&1 || true
    missing=$(apt-get --simulate --no-install-recommends install chromium fonts-dejavu-core |
        awk '$1 == "Inst" { print $2 }')
    mkdir -p "$home/packages" "$home/root"
    (cd "$home/packages" && apt-get download -qq $missing > /dev/null)
    for package in "$home/packages"/*.deb; do
        dpkg-deb --extract "$package" "$home/root"
    done
    rm -r "$home/packages"
    libraries=$(find "$home/root/usr/lib" -name '*.so*' -printf '%h\n' | sort -u | paste -sd:)
    [ -f /etc/fonts/fonts.conf ] && fonts= || fonts="FONTCONFIG_SYSROOT=$home/root"
    cat > "$start.new" <<END
#!/bin/sh
exec env $fonts LD_LIBRARY_PATH=$libraries $home/root/usr/lib/chromium/chromium "\$@"
END
    chmod +x "$start.new"
    mv "$start.new" "$start"
fi
"$start" --version > /dev/null
echo "$start"
