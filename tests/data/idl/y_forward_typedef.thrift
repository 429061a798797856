// Typedefs of structs that come later, alone and in containers, by value and in unions.
typedef Later Alias
typedef Alias Again
typedef Choice Chosen
typedef map<string, Later> Table
struct Box { 1: Alias a, 2: Again b, 3: optional Alias c, 4: list<Alias> d }
struct Shelf { 1: map<string, Again> boxes, 2: Table table, 3: Chosen chosen }
union Either { 1: Alias left, 2: Again right }
exception Lost { 1: Again what }
struct Later { 1: i32 x }
union Choice { 1: Later later, 2: string text }
const Alias ONE = {"x": 1}
service Boxes { Alias open(1: Again box) throws (1: Lost lost), stream<Alias> all(1: map<string, Alias> named) }
