// Calls of file_calls.h and small_files.h on one of libuv's threads, for JavaScript.
#pragma once

#include <napi.h>

namespace uring {

// fileCall(call, source, target, numbers: Float64Array, done): see lib/native.ts.
void start_file_work(const Napi::CallbackInfo& info);

// copySmallFiles(paths: Buffer, clone, results: Float64Array, done).
void start_small_files(const Napi::CallbackInfo& info);

}  // namespace uring
