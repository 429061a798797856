// A mark in front, as some editors write it.
namespace * bom
struct A { 1: i32 x }
