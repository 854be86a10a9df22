// Assertions that stay on in release builds: a broken invariant here means memory handed to the
// kernel may be reused, and an abort is better than silent corruption.
#pragma once

#include <cstdio>
#include <cstdlib>

#define URING_CHECK(condition)                                                            \
  do {                                                                                    \
    if (!(condition)) [[unlikely]] {                                                      \
      std::fprintf(stderr, "uring-streams: %s:%d: check failed: %s\n", __FILE__, __LINE__, \
                   #condition);                                                           \
      std::abort();                                                                       \
    }                                                                                     \
  } while (0)
