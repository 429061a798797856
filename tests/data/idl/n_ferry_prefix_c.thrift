// expect: error: the C names of this file would begin with 'ferry_queue_', like the names of the library
namespace * mine
namespace c ferry_queue
enum Bytes { A }
