# SPDX-License-Identifier: Apache-2.0
# fish completion for ferry. The words come from ferry itself: see `ferry completion`.

function __ferry_words
    set -l words (commandline -opc) (commandline -ct)
    $words[1] __complete -- $words[2..-1] 2>/dev/null
end

complete -c ferry -a '(__ferry_words)'
