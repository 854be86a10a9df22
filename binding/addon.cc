// What the addon exports, once for each environment: the main thread and every worker.
#include <cstdlib>

#include <napi.h>

#include "engine_wrap.h"
#include "thread_work.h"
#include "first_read.h"
#include "inspect.h"
#include "stamp.h"  // made by stamp.js

namespace {

// inspect(fd, out: Float64Array, justOpened): 0 or -errno. See lib/native.ts for what `out` receives.
Napi::Value inspect(const Napi::CallbackInfo& info) {
  uring::FileFacts facts = {};
  const bool just_opened = info[2].As<Napi::Boolean>();
  const int error = uring::inspect(info[0].As<Napi::Number>().Int32Value(), facts, just_opened);
  double* out = info[1].As<Napi::Float64Array>().Data();
  out[0] = facts.regular;
  out[1] = facts.append;
  out[2] = static_cast<double>(facts.size);
  out[3] = static_cast<double>(facts.position);
  out[4] = static_cast<double>(facts.direct_alignment);
  out[5] = facts.block;
  return Napi::Number::New(info.Env(), error);
}

Napi::Value seek(const Napi::CallbackInfo& info) {
  const int error = uring::seek(info[0].As<Napi::Number>().Int32Value(),
                                info[1].As<Napi::Number>().Int64Value());
  return Napi::Number::New(info.Env(), error);
}

Napi::Value advance(const Napi::CallbackInfo& info) {
  const int64_t position = uring::advance(info[0].As<Napi::Number>().Int32Value(),
                                          info[1].As<Napi::Number>().Int64Value());
  return Napi::Number::New(info.Env(), static_cast<double>(position));
}

// pageOffset(view): how many bytes it begins behind a boundary of 4 KiB.
Napi::Value page_offset(const Napi::CallbackInfo& info) {
  void* data = nullptr;
  napi_get_typedarray_info(info.Env(), info[0], nullptr, nullptr, &data, nullptr, nullptr);
  return Napi::Number::New(info.Env(), reinterpret_cast<uintptr_t>(data) % 4096);
}

Napi::Value first_read(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), uring::first_read());
}

// glibc gives memory back to the kernel with every larger block that is freed, until it has seen the program free one that
// large: then it keeps as much (mallopt(3), M_MMAP_THRESHOLD; 32 MiB is the most that it learns from). Other libcs learn
// nothing from it. The block is never touched, so this costs two system calls.
void keep_freed_memory(const Napi::CallbackInfo&) {
  constexpr size_t bytes = 31 << 20;
  void* volatile block = std::malloc(bytes);  // volatile: not to be optimized away
  std::free(block);
}

Napi::Object init(Napi::Env env, Napi::Object exports) {
  exports.Set("Engine", uring::EngineWrap::define(env));
  exports.Set("firstRead", Napi::Function::New<first_read>(env));
  exports.Set("inspect", Napi::Function::New<inspect>(env));
  exports.Set("pageOffset", Napi::Function::New<page_offset>(env));
  exports.Set("seek", Napi::Function::New<seek>(env));
  exports.Set("advance", Napi::Function::New<advance>(env));
  exports.Set("keepFreedMemory", Napi::Function::New<keep_freed_memory>(env));
  exports.Set("fileCall", Napi::Function::New<uring::start_file_work>(env));
  // Which sources this was built from; build.js and the tests find it in the file, without loading it.
  exports.Set("stamp", URING_STAMP);
  exports.Set("copySmallFiles", Napi::Function::New<uring::start_small_files>(env));
  return exports;
}

}  // namespace

NODE_API_MODULE(NODE_GYP_MODULE_NAME, init)
