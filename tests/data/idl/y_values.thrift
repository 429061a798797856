// Constants and defaults of every shape, by every kind of name.
namespace * values
struct S { 1: i32 x }
const i32 e10 = 1
const double E1 = 1e10
const double E2 = +1E+10
const double E3 = .5
const double E4 = +.5e-3
const double E5 = -0.0
const i32 H1 = +0x10
const i32 T = true
const i64 T2 = false
const double T3 = 5
const bool B1 = false
typedef i32 MyInt
typedef MyInt MyInt2
const MyInt2 M = 4
typedef string Name
const Name NM = "x"
typedef list<Name> Names
const Names NMS = ["a", 'b']
typedef map<Name, Names> NN
const NN NNS = {"a": NMS, "b": ["c"]}
enum E { A, B = 5, C }
typedef E EE
const EE EEE = E.B
const map<E, set<E>> ME = {E.A: [E.A, E.B], E.B: []}
exception X { 1: i32 a, 2: string message = "dflt" }
const X XC = {"a": 1}
const S SC = {}
const list<S> SL = [{}, {"x": 4}]
const set<S> SS = [{"x": 4}]
const map<S, S> SM = {{"x": 1}: {"x": 2}}
const uuid U = "{00000000-0000-0000-0000-000000000001}"
const list<uuid> UL = ["00000000-0000-0000-0000-000000000001"]
const map<uuid, binary> UM = {"00000000-0000-0000-0000-000000000001": "x"}
const binary BI = 'abc"'
const list<binary> BL = ['a', "b"]
const list<bool> BOOLS = [true, false, 1, 0]
const list<double> DS = [1, 2.5, -.5e-3]
const i8 I8MIN = -128
const list<i64> LL = [-9223372036854775808, 9223372036854775807]
struct D {
  1: optional i32 a = 4
  2: optional string s = "x"
  3: optional binary b = "y"
  4: optional uuid u = "00000000-0000-0000-0000-000000000001"
  5: optional E e = E.B
  6: optional X x = {"a": 3}
  7: optional list<S> ls = [{"x": 1}]
  8: optional map<string, S> ms = {"x": {"x": 1}}
  9: optional set<i32> si = [1, 2]
  10: optional bool bo = true
  11: optional double d = 1
  12: optional i64 l = 5000000000
  13: required string rs = "rs"
  14: required list<i32> rl = [1]
  15: X xx = {"a": 5}
  16: list<list<i32>> lll = [[1], [], [2, 3]]
  17: optional EE ee = A
  18: S & sref = {"x": 4}
  19: optional S & osref
  20: required S & rsref
  21: required S & rdref = {"x": 9}
  22: list<i32> & lref
  23: string & strref
  24: string & strd = "d"
  25: optional D d2
  26: i8 (a) i8
}
union U1 { 1: S s, 2: list<i32> l = [1, 2] }
union U2 { 1: D d, 2: U1 & u, 3: U2 me, 4: uuid id }
const U2 U2C = {"u": {"l": [1]}}
const U1 U1C = {"s": SC}
struct WU { 1: U1 u, 2: U2 v, 3: optional U1 w = {"s": {"x": 1}}, 4: U1 z = {"l": [3]} }
service P {
  D d(1: D d = {"rs": "x", "rsref": {}}, 2: list<S> l = [{"x": 2}], 3: required i32 r, 4: optional E e = E.B, 5: map<string,i32> m = {"a": 1}, 6: uuid u = "00000000-0000-0000-0000-000000000001", 7: binary b = "x", 8: optional U1 un, 9: E en = E.C, 10: S & ref, 11: optional string os = "q", 12: bool bo = true)
}
