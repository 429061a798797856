# SPDX-License-Identifier: Apache-2.0
# For the tests of what `meson install` leaves behind: source installed.sh BUILD-FOLDER FOLDER.
# Installs into FOLDER, and makes its programs, library and pkg-config file be found: $prefix has
# them all, $library is where the library is.
meson install -C "$1" --no-rebuild --quiet --destdir "$2" >/dev/null || exit 1
prefix=$(find "$2" -path '*/bin/ferry' -printf '%h\n' | sed 's,/bin$,,')
library=$(dirname "$(find "$prefix" -name libferry.so.0)")
PKG_CONFIG_PATH=$(dirname "$(find "$prefix" -name ferry.pc)")
# As if it had been installed where it is.
sed -i "s,^prefix=.*,prefix=$prefix," "$PKG_CONFIG_PATH/ferry.pc"
export PATH="$prefix/bin:$PATH" LD_LIBRARY_PATH=$library PKG_CONFIG_PATH
