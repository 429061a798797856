struct A { 1: Nothing n } struct Missed { }
