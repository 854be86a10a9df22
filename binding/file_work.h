// A call of file_calls.h on one of libuv's threads, for JavaScript.
#pragma once

#include <napi.h>

namespace uring {

// fileCall(call, source, target, numbers: Float64Array, done): see lib/native.ts.
void start_file_work(const Napi::CallbackInfo& info);

}  // namespace uring
