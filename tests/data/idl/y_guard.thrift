// The constant has the name that the include guard would have.
// expect: #ifndef Y_GUARD_H_2
// expect: #define Y_GUARD_H "constant"
const string H = "constant"
