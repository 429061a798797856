# SPDX-License-Identifier: Apache-2.0
# For the tests of installed files: source installed.sh BUILD-FOLDER FOLDER. Installs into FOLDER,
# and sets the paths so that its programs, library and pkg-config file are found. $prefix is the
# installation folder, $library the folder of the library.
meson install -C "$1" --no-rebuild --quiet --destdir "$2" >/dev/null || exit 1
prefix=$(find "$2" -path '*/bin/ferry' -printf '%h\n' | sed 's,/bin$,,')
library=$(dirname "$(find "$prefix" -name libferry.so.0)")
PKG_CONFIG_PATH=$(dirname "$(find "$prefix" -name ferry.pc)")
# Change the prefix of the pkg-config file to the actual folder.
sed -i "s,^prefix=.*,prefix=$prefix," "$PKG_CONFIG_PATH/ferry.pc"
export PATH="$prefix/bin:$PATH" LD_LIBRARY_PATH=$library PKG_CONFIG_PATH
