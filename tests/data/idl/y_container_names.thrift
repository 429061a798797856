// A container gives way to a definition or a method of its name.
// expect: cn_list_dog_ dogs;
// expect: typedef cn_list_names_ cn_list_names;
// expect: cn_map_string_dog_ by_name;
namespace * cn
struct Dog { }
struct ListDog { 1: list<Dog> dogs, 2: map<string, Dog> by_name }
struct MapStringDogEntry { 1: i32 x }
typedef list<string> Names
typedef list<Names> ListNames
struct Map_i32_string { 1: i32 y }
struct Both { 1: list<map<i32, string>> a, 2: list<Map_i32_string> b }
service Cn { void set_dog(1: set<Dog> dogs), ListNames get() }
