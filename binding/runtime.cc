// What the standard library asks of its runtime, without exceptions: whoever would throw, aborts. Linked into the addon
// alone, so that it needs neither libstdc++ nor an unwinder, and runs with any libc that has its few functions.
#include <chrono>
#include <cstdlib>
#include <ctime>
#include <memory>
#include <new>

void* operator new(std::size_t bytes) {
  void* memory = std::malloc(bytes > 0 ? bytes : 1);
  if (memory == nullptr) std::abort();
  return memory;
}
void* operator new[](std::size_t bytes) { return operator new(bytes); }
void* operator new(std::size_t bytes, const std::nothrow_t&) noexcept { return std::malloc(bytes > 0 ? bytes : 1); }
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete[](void* memory) noexcept { std::free(memory); }
void operator delete[](void* memory, std::size_t) noexcept { std::free(memory); }

namespace std {
[[noreturn]] void __throw_length_error(const char*) { abort(); }
[[noreturn]] void __throw_bad_alloc() { abort(); }
[[noreturn]] void __throw_bad_array_new_length() { abort(); }
[[noreturn]] void __throw_system_error(int) { abort(); }

chrono::steady_clock::time_point chrono::steady_clock::now() noexcept {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return time_point(chrono::seconds(now.tv_sec) + chrono::nanoseconds(now.tv_nsec));
}

// Asked only where types cannot be told (no RTTI): by address, which has its own answer.
bool _Sp_make_shared_tag::_S_eq(const type_info&) noexcept { return false; }
}  // namespace std

// glibc 2.32 tells by it that atomics are not needed yet; here they always are.
extern "C" char __libc_single_threaded;
char __libc_single_threaded = 0;

extern "C" [[noreturn]] void __cxa_pure_virtual() { std::abort(); }
