// Work for one of libuv's threads, for JavaScript: calls of file_calls.h and small_files.h, and the touching of memory.
#pragma once

#include <napi.h>

#include <span>

namespace uring {

// fileCall(call, source, target, numbers: Float64Array, done): see lib/native.ts.
void start_file_work(const Napi::CallbackInfo& info);

// Lets a thread touch memory for the first time, which can take 5 ms for each 2 MiB (the host of a virtual machine has to
// find them; Linux 5.14, before it nothing happens). It may be in use, and end before its memory does or after it.
void start_populating(std::span<char> memory, Napi::Function done);

// copySmallFiles(paths: Buffer, clone, results: Float64Array, done).
void start_small_files(const Napi::CallbackInfo& info);

}  // namespace uring
