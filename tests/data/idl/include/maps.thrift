namespace * mapped
struct Holder { 1: map<string, i32> counts, 2: map<string, string> words, 3: map<string, Leaf> leaves, 4: list<list<i32>> rows }
struct Leaf { 1: i32 x }
typedef map<i32, Leaf> Numbered
