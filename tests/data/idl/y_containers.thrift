namespace * containers

struct Item { 1: string name }
enum Kind { A, B }
typedef list<Item> Items
typedef map<string, Items> Index
typedef i64 Id
typedef Id UserId

struct All {
  1: list<bool> l1, 2: list<byte> l2, 3: list<i16> l3, 4: list<i32> l4, 5: list<i64> l5,
  6: list<double> l6, 7: list<string> l7, 8: list<binary> l8, 9: list<uuid> l9,
  10: set<string> s1, 11: set<i32> s2, 12: set<uuid> s3, 13: set<Kind> s4, 14: set<binary> s5,
  15: map<string, string> m1, 16: map<i32, Item> m2, 17: map<Kind, list<i32>> m3,
  18: map<uuid, set<string>> m4, 19: map<string, map<string, map<i64, double>>> m5,
  20: list<list<list<i32>>> n1, 21: list<Item> n2, 22: list<Items> n3, 23: Index n4,
  24: set<list<i32>> n5, 25: map<list<string>, i32> n6, 26: list<UserId> n7, 27: map<Id, UserId> n8,
  28: optional list<Item> o1, 29: optional map<string, Item> o2, 30: optional set<i64> o3,
  31: set<Item> n9, 32: map<Item, Item> n10, 33: map<bool, double> n11, 34: optional Index o4, 35: map<binary, i8> n12
}

service Containers {
  list<Item> a(1: list<i32> x, 2: set<string> y, 3: map<string, i64> z)
  map<i32, list<string>> b(1: Items x, 2: optional list<i32> o)
  set<i64> c(1: Index x)
  Index d()
  stream<map<string, i32>> e(1: stream<list<Item>> x)
}
