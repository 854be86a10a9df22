#include "engine_wrap.h"

#include "check.h"
#include "thread_work.h"

namespace uring {
namespace {

uint32_t uint_of(const Napi::Value& value) { return value.As<Napi::Number>().Uint32Value(); }

template <typename T>
T* data_of(const Napi::Value& view) {
  void* data = nullptr;
  napi_get_typedarray_info(view.Env(), view, nullptr, nullptr, &data, nullptr, nullptr);
  return static_cast<T*>(data);
}

uint32_t length_of(const Napi::Value& view) {
  return static_cast<uint32_t>(view.As<Napi::TypedArray>().ElementLength());
}

}  // namespace

Napi::Function EngineWrap::define(Napi::Env env) {
  return DefineClass(env, "Engine",
                     {
                         InstanceMethod<&EngineWrap::open>("open"),
                         InstanceMethod<&EngineWrap::start>("start"),
                         InstanceMethod<&EngineWrap::facts>("facts"),
                         InstanceMethod<&EngineWrap::reference>("reference"),
                         InstanceMethod<&EngineWrap::submit>("submit"),
                         InstanceMethod<&EngineWrap::limit_workers>("limitWorkers"),
                         InstanceMethod<&EngineWrap::cancel>("cancel"),
                         InstanceMethod<&EngineWrap::disown>("disown"),
                         InstanceMethod<&EngineWrap::set_address>("setAddress"),
                         InstanceMethod<&EngineWrap::set_vector>("setVector"),
                         InstanceMethod<&EngineWrap::add_lane>("addLane"),
                         InstanceMethod<&EngineWrap::install_file>("installFile"),
                         InstanceMethod<&EngineWrap::remove_file>("removeFile"),
                         InstanceMethod<&EngineWrap::register_buffer>("registerBuffer"),
                         InstanceMethod<&EngineWrap::unregister_buffer>("unregisterBuffer"),
                         InstanceMethod<&EngineWrap::operations>("operations"),
                         InstanceMethod<&EngineWrap::acquire_buffer>("acquireBuffer"),
                         InstanceMethod<&EngineWrap::release_buffer>("releaseBuffer"),
                         InstanceMethod<&EngineWrap::abandon_buffer>("abandonBuffer"),
                         InstanceMethod<&EngineWrap::populate>("populate"),
                         InstanceMethod<&EngineWrap::lease>("lease"),
                         InstanceMethod<&EngineWrap::detach>("detach"),
                         InstanceMethod<&EngineWrap::close>("close"),
                     });
}

// While a worker is being terminated any call into JavaScript may fail, so no result of one is asserted:
// what follows from it is never seen by anybody.

// Only the environment's end collects an open engine: lib/ holds it until it is closed.
EngineWrap::~EngineWrap() {
  if (host_ == nullptr) return;
  if (host_->started()) {
    host_->set_owner(nullptr);
  } else {
    host_->close();
  }
}

Napi::Value EngineWrap::open(const Napi::CallbackInfo& info) {
  URING_CHECK(host_ == nullptr);
  int error = 0;
  URING_CHECK(length_of(info[0]) * sizeof(uint32_t) == sizeof(RingOptions));
  host_ = EngineHost::open(info.Env(), *data_of<RingOptions>(info[0]), error);
  if (host_ == nullptr) return Napi::Number::New(info.Env(), error);
  host_->set_owner(&host_);
  return Napi::Number::New(info.Env(), host_->engine().ring().cq_entries());
}

// start({ header, descriptors, extras, completions, counters }, dispatch)
Napi::Value EngineWrap::start(const Napi::CallbackInfo& info) {
  const auto memory = info[0].As<Napi::Object>();
  const Napi::Value header = memory.Get("header");
  const Napi::Value descriptors = memory.Get("descriptors");
  const Napi::Value extras = memory.Get("extras");
  const Napi::Value completions = memory.Get("completions");
  const Napi::Value counters = memory.Get("counters");
  constexpr uint32_t descriptor_words = sizeof(Descriptor) / sizeof(uint32_t);
  constexpr uint32_t completion_words = sizeof(Completion) / sizeof(uint32_t);
  if (counters.IsEmpty() || data_of<double>(counters) == nullptr) return {};  // being terminated
  URING_CHECK(length_of(header) >= Shared::words && length_of(counters) >= Engine::counters);
  const Shared shared = {
      .header = data_of<uint32_t>(header),
      .descriptors = data_of<Descriptor>(descriptors),
      .descriptors_mask = length_of(descriptors) / descriptor_words - 1,
      .extras = data_of<uint32_t>(extras),
      .completions = data_of<Completion>(completions),
      .completions_max = length_of(completions) / completion_words,
      .counters = data_of<double>(counters),
  };
  return Napi::Number::New(info.Env(), host_->start(shared, memory, info[1].As<Napi::Function>()));
}

Napi::Value EngineWrap::facts(const Napi::CallbackInfo& info) {
  auto facts = Napi::Object::New(info.Env());
  Engine& engine = host_->engine();
  facts.Set("sqEntries", engine.ring().sq_entries());
  facts.Set("cqEntries", engine.ring().cq_entries());
  facts.Set("ringFd", engine.ring().fd());
  facts.Set("setupFlags", engine.ring().setup_flags());
  facts.Set("features", engine.ring().features());
  facts.Set("fixedFiles", engine.files().available());
  facts.Set("registeredSegments", engine.arena().registered_segments());
  return facts;
}

void EngineWrap::reference(const Napi::CallbackInfo&) { host_->reference(); }

Napi::Value EngineWrap::submit(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), host_->submit());
}

Napi::Value EngineWrap::limit_workers(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(),
                           host_->engine().limit_workers(uint_of(info[0]), uint_of(info[1])));
}

void EngineWrap::cancel(const Napi::CallbackInfo& info) { host_->engine().cancel(uint_of(info[0])); }

Napi::Value EngineWrap::disown(const Napi::CallbackInfo& info) {
  return Napi::Boolean::New(info.Env(), host_->engine().disown(info[0].As<Napi::Number>().Int32Value()));
}

// setAddress(index, view, offset, second): where the view's bytes are, written into the descriptor staged
// at `index`; `second` is for operations that take two addresses, and goes where others have a position.
void EngineWrap::set_address(const Napi::CallbackInfo& info) {
  Descriptor& descriptor = host_->engine().descriptor(uint_of(info[0]));
  const auto offset = static_cast<uint64_t>(info[2].As<Napi::Number>().Int64Value());  // of a buffer of more than 4 GiB, too
  void* data = nullptr;
  size_t length = 0;
  napi_get_typedarray_info(info.Env(), info[1], nullptr, &length, &data, nullptr, nullptr);
  // A view detached since it was staged has neither address nor length; the kernel answers EFAULT.
  const bool inside = data != nullptr && offset <= length;
  const auto address = inside ? reinterpret_cast<uint64_t>(data) + offset : 0;
  const bool second = info.Length() > 3;
  (second ? descriptor.position_low : descriptor.address_low) = static_cast<uint32_t>(address);
  (second ? descriptor.position_high : descriptor.address_high) =
      static_cast<uint32_t>(address >> 32);
}

// setVector(index, slot, views): a vector of where the views' bytes are, for the descriptor staged at `index`.
void EngineWrap::set_vector(const Napi::CallbackInfo& info) {
  const auto views = info[2].As<Napi::Array>();
  const uint32_t count = views.Length();
  iovec* vector = host_->engine().make_vector(uint_of(info[1]), count);
  for (uint32_t i = 0; i < count; i++) {
    napi_get_typedarray_info(info.Env(), views.Get(i), nullptr, &vector[i].iov_len,
                             &vector[i].iov_base, nullptr, nullptr);
  }
  Descriptor& descriptor = host_->engine().descriptor(uint_of(info[0]));
  const auto address = reinterpret_cast<uint64_t>(vector);
  descriptor.address_low = static_cast<uint32_t>(address);
  descriptor.address_high = static_cast<uint32_t>(address >> 32);
  descriptor.length = count;
}

// addLane(index, range, piece): both are Float64Arrays that live until the lane's requests have completed.
void EngineWrap::add_lane(const Napi::CallbackInfo& info) {
  URING_CHECK(length_of(info[1]) * sizeof(double) == sizeof(CopyRange));
  URING_CHECK(length_of(info[2]) * sizeof(double) == sizeof(CopyPiece));
  host_->engine().add_lane(uint_of(info[0]), *data_of<CopyRange>(info[1]),
                           *data_of<CopyPiece>(info[2]));
}

Napi::Value EngineWrap::install_file(const Napi::CallbackInfo& info) {
  const int fd = info[0].As<Napi::Number>().Int32Value();
  return Napi::Number::New(info.Env(), host_->engine().files().install(fd));
}

void EngineWrap::remove_file(const Napi::CallbackInfo& info) {
  host_->engine().files().remove(info[0].As<Napi::Number>().Int32Value());
}

// registerBuffer(view): its memory must stay where it is; lib/ring-tables.ts sees to that.
Napi::Value EngineWrap::register_buffer(const Napi::CallbackInfo& info) {
  void* data = nullptr;
  size_t length = 0;
  napi_get_typedarray_info(info.Env(), info[0], nullptr, &length, &data, nullptr, nullptr);
  return Napi::Number::New(info.Env(), host_->engine().buffers().add(data, length));
}

void EngineWrap::unregister_buffer(const Napi::CallbackInfo& info) {
  host_->engine().buffers().remove(info[0].As<Napi::Number>().Int32Value());
}

// operations(out): 1 in the place of each opcode that the kernel has. 0 or -errno.
Napi::Value EngineWrap::operations(const Napi::CallbackInfo& info) {
  const std::span<uint8_t> out(data_of<uint8_t>(info[0]), length_of(info[0]));
  return Napi::Number::New(info.Env(), host_->engine().ring().operations(out));
}

Napi::Value EngineWrap::acquire_buffer(const Napi::CallbackInfo& info) {
  const int64_t offset = host_->engine().arena().acquire(uint_of(info[0]));
  return Napi::Number::New(info.Env(), static_cast<double>(offset));
}

void EngineWrap::release_buffer(const Napi::CallbackInfo& info) {
  host_->engine().arena().release(info[0].As<Napi::Number>().Int64Value());
}

// populate(bytes, done)
void EngineWrap::populate(const Napi::CallbackInfo& info) {
  const auto bytes = static_cast<uint64_t>(info[0].As<Napi::Number>().Int64Value());
  start_populating(host_->engine().arena().beginning(bytes), info[1].As<Napi::Function>());
}

// The buffer stays in use, and its memory mapped, for ever.
void EngineWrap::abandon_buffer(const Napi::CallbackInfo&) { host_->engine().arena().leak(); }

// lease(offset, length): a Buffer over arena memory, until `detach`. Null where the host forbids it.
Napi::Value EngineWrap::lease(const Napi::CallbackInfo& info) {
  BufferArena& arena = host_->engine().arena();
  const uint32_t offset = uint_of(info[0]);
  const uint32_t length = uint_of(info[1]);
  URING_CHECK(arena.contains(offset, length));
  napi_value buffer = nullptr;
  // The memory belongs to the arena, so the collector has nothing to free.
  const napi_status status = napi_create_external_buffer(
      info.Env(), length, arena.address(offset), [](napi_env, void*, void*) {}, nullptr, &buffer);
  if (status != napi_ok) return info.Env().Null();
  return Napi::Value(info.Env(), buffer);
}

// detach(arrayBuffer): every view of it has length 0 from here on.
void EngineWrap::detach(const Napi::CallbackInfo& info) {
  napi_detach_arraybuffer(info.Env(), info[0]);
}

void EngineWrap::close(const Napi::CallbackInfo& info) {
  if (host_ != nullptr) host_->close(info[0]);
}

}  // namespace uring
