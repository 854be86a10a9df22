// The JavaScript object over an engine. lib/native.ts describes its methods.
#pragma once

#include <napi.h>

#include "engine_host.h"

namespace uring {

class EngineWrap : public Napi::ObjectWrap<EngineWrap> {
 public:
  static Napi::Function define(Napi::Env env);
  explicit EngineWrap(const Napi::CallbackInfo& info) : Napi::ObjectWrap<EngineWrap>(info) {}
  ~EngineWrap() override;

 private:
  Napi::Value open(const Napi::CallbackInfo& info);
  Napi::Value start(const Napi::CallbackInfo& info);
  Napi::Value facts(const Napi::CallbackInfo& info);
  void reference(const Napi::CallbackInfo& info);
  Napi::Value submit(const Napi::CallbackInfo& info);
  Napi::Value limit_workers(const Napi::CallbackInfo& info);
  void cancel(const Napi::CallbackInfo& info);
  Napi::Value disown(const Napi::CallbackInfo& info);
  void set_address(const Napi::CallbackInfo& info);
  void set_vector(const Napi::CallbackInfo& info);
  void add_lane(const Napi::CallbackInfo& info);
  Napi::Value install_file(const Napi::CallbackInfo& info);
  void remove_file(const Napi::CallbackInfo& info);
  Napi::Value register_buffer(const Napi::CallbackInfo& info);
  void unregister_buffer(const Napi::CallbackInfo& info);
  Napi::Value operations(const Napi::CallbackInfo& info);
  Napi::Value acquire_buffer(const Napi::CallbackInfo& info);
  void release_buffer(const Napi::CallbackInfo& info);
  void populate(const Napi::CallbackInfo& info);
  void abandon_buffer(const Napi::CallbackInfo& info);
  Napi::Value lease(const Napi::CallbackInfo& info);
  void detach(const Napi::CallbackInfo& info);
  void close(const Napi::CallbackInfo& info);

  EngineHost* host_ = nullptr;
};

}  // namespace uring
