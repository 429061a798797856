struct Common { 1: i32 other }
