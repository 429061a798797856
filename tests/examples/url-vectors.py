# SPDX-License-Identifier: Apache-2.0
"""Random texts with what Python's urllib.parse makes of them: METHOD A B RESULT, parted by tabs."""
import random
from urllib.parse import quote, quote_plus, unquote, unquote_plus, urljoin

random.seed(21)
LETTERS = "aZ0 /?&=#%+~._-:;@αβ你😀"
for _ in range(200):
    text, safe = "".join(random.choice(LETTERS) for _ in range(random.randint(0, 12))), random.choice(["", "/", "&=+"])
    print("quote", text, safe, quote(text, safe), sep="\t")
    print("quote_plus", text, safe, quote_plus(text, safe), sep="\t")
    mixed = "".join(random.choice(["%41", "%e4%bd%a0", "%E4", "%ff", "%zz", "%", "+", "x", "%2", "你", "%f0%9f%98%80", "%ed%a0%80"])
                    for _ in range(random.randint(0, 8)))
    print("unquote", mixed, "", unquote(mixed), sep="\t")
    print("unquote_plus", mixed, "", unquote_plus(mixed), sep="\t")
    # Behind "//host" Python leaves the dots in the path, unlike RFC 3986: such a reference is not used.
    reference = "/".join(random.choice(["x", "..", ".", "y.html", "a b"]) for _ in range(random.randint(1, 6)))
    reference = random.choice(["", "/"]) + reference + random.choice(["", "/", "?q=1", "#f", "?q#f"])
    print("urljoin", "http://a/b/c/d", reference, urljoin("http://a/b/c/d", reference), sep="\t")
