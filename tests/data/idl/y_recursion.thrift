namespace * recursion

struct Tree { 1: list<Tree> children, 2: i16 item }
struct List { 1: List & next, 2: i32 item }
struct Chain { 1: optional Chain next, 2: i32 item }
struct Plain { 1: Plain next, 2: i32 item }
struct A { 1: B b, 2: i32 x }
struct B { 1: A a, 2: i32 y }
struct Dict { 1: map<string, Dict> inside, 2: set<string> names }
struct Deep { 1: list<list<map<i32, Deep>>> deep }
struct Uses { 1: Later later, 2: list<Later> laters, 3: map<Later2, Later> by }
struct Later { 1: i32 x }
struct Later2 { 1: string x }
union Either { 1: Either either, 2: i32 leaf }
exception Bad { 1: optional Bad cause, 2: string message }
struct Reference { 1: required i32 & r, 2: i32 & o }

service Recursion { Tree grow(1: Tree tree, 2: Either either) throws (1: Bad bad) }
