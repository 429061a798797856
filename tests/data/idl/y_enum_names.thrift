// Where an enum is wanted, the last part of a name decides.
// expect: warning: 'Colour.BLUE' names the enum 'Colour', but 'wrong' has the enum 'Level': its 'BLUE' is used
// expect: warning: 'A.TWO' names the enum 'A', but 'b' has the enum 'B': its 'TWO' is used
// expect-not: 'file'
// expect: warning: 'Level.HIGH' names the enum 'Level', but 'local' has the enum 'Level': its 'HIGH' is used
// expect: ENUM_NAMES_B_TWO
// expect: SHARED_LEVEL_HIGH
include "include/shared.thrift"
namespace * enum_names
enum Colour { RED, BLUE }
enum Level { BLUE = 7 }
enum A { ONE = 1, TWO = 5 }
enum B { TWO = 2 }
typedef A F
typedef shared.Level Far
struct Names {
  1: shared.Level file = shared.HIGH
  2: shared.Level local = Level.HIGH
  3: shared.Level both = shared.Level.HIGH
  4: Level wrong = Colour.BLUE
  5: B b = A.TWO
  6: F f = F.ONE
  7: Far far = Far.HIGH
  8: i32 number = F.TWO
  9: list<shared.Level> many = [shared.LOW, HIGH, Far.HIGH]
}
const map<B, F> TABLE = {B.TWO: F.ONE}
