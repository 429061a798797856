// expect: error: the default of 'kids' contains itself
// expect: error: the default of 'by_name' contains itself
// expect: error: the default of 'nobody' contains itself
// expect: error: the default of 'inner' contains itself
// expect: error: the default of 'shapes' contains itself
// expect: error: the default of 'members' contains itself
// expect-not: 'finite'
// expect-not: 'pointed'
struct Parent { 1: list<Parent> kids = [ {} ] }
struct Named { 1: map<string, Named> by_name = {"a": {}} }
struct Keyed { 1: set<Keyed> nobody = [ {"other": 1} ], 2: i32 other }
struct Outer { 1: Middle middle }
struct Middle { 1: list<Outer> inner = [ {} ] }
union Shape { 1: i32 size, 2: list<Group> group }
struct Group { 1: list<Shape> shapes = [ {"group": [ {} ]} ] }
const list<Family> FAMILY = [ {} ]
struct Family { 1: list<Family> members = FAMILY }
struct Finite { 1: list<Finite> finite = [ {"finite": []} ] }
struct Pointed { 1: optional list<Pointed> pointed = [ {} ] }
