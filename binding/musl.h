// Included before everything else in builds for musl: Debian has musl's C headers, but libstdc++'s are configured for
// glibc. This tells them what they would have found out on musl. Nothing of libstdc++ is linked, and the names of the
// locales below are declared and not used (test/package/prebuilds.test.ts looks for what the binary needs).
#pragma once

#ifdef __cplusplus  // node-gyp asks the compiler about itself in C
#include <ctype.h>
#include <locale.h>

#define __GLIBC_PREREQ(major, minor) 0
#include <bits/c++config.h>

// Weak references to pthreads would be taken for a program without threads, whose mutexes do nothing.
#undef _GLIBCXX_GTHREAD_USE_WEAK
#define _GLIBCXX_GTHREAD_USE_WEAK 0
#undef _GLIBCXX_USE_PTHREAD_COND_CLOCKWAIT
#undef _GLIBCXX_USE_PTHREAD_MUTEX_CLOCKLOCK

#define __locale_t locale_t
enum { _ISupper, _ISlower, _ISalpha, _ISdigit, _ISxdigit, _ISspace, _ISprint, _IScntrl, _ISpunct, _ISblank };
#endif
