namespace * strings

const string DOUBLE_QUOTES = "it's"
const string SINGLE_QUOTES = 'he said "no"'
const string ESCAPES = "\r\n\t\"\'\\"
const string UTF8 = "Grüße, 世界"
const string EMPTY = ""
const string TRIGRAPH = "what??/ ??= no"
const string PERCENT = "100%s %d"
const binary BYTES = "some bytes"
const uuid ID = "123e4567-e89b-12d3-a456-426614174000"
const uuid BRACES = '{123E4567-E89B-12D3-A456-426614174000}'
