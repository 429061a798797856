// expect: error: the C names of this file would begin with 'ferry_queue_', as the library's own do
namespace * mine
namespace c ferry_queue
enum Bytes { A }
