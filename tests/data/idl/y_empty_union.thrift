// A union without fields has one value in C, which cannot be sent.
namespace * empties

union Nothing { }
struct Holder { 1: optional Nothing maybe, 2: list<Nothing> many, 3: Nothing plain }
service Empties { void take(1: Nothing nothing) }
