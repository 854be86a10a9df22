#include "wakeup.h"

#include <initializer_list>

#include "check.h"

namespace uring {
namespace {

template <typename Handle>
uv_handle_t* as_handle(Handle* handle) {
  return reinterpret_cast<uv_handle_t*>(handle);
}

template <typename Handle>
Wakeup* owner(Handle* handle) {
  return static_cast<Wakeup*>(handle->data);
}

}  // namespace

int Wakeup::open(uv_loop_t* loop, Engine& engine, Callback turn, Callback woken, void* context) {
  turn_ = turn;
  context_ = context;
  prepare_.data = check_.data = retry_.data = awake_.data = this;
  const int error = source_->open(loop, engine, woken, context);
  if (error < 0) return error;
  URING_CHECK(uv_prepare_init(loop, &prepare_) == 0);
  URING_CHECK(uv_check_init(loop, &check_) == 0);
  URING_CHECK(uv_timer_init(loop, &retry_) == 0);
  URING_CHECK(uv_idle_init(loop, &awake_) == 0);
  open_handles_ = handles;
  URING_CHECK(uv_prepare_start(&prepare_, on_prepare) == 0);
  URING_CHECK(uv_check_start(&check_, on_check) == 0);
  uv_unref(as_handle(&prepare_));
  uv_unref(as_handle(&check_));
  uv_unref(as_handle(&retry_));
  uv_unref(as_handle(&awake_));
  unreference();
  return 0;
}

void Wakeup::reference() { source_->reference(); }

void Wakeup::unreference() { source_->unreference(); }

void Wakeup::retry_soon() {
  URING_CHECK(uv_timer_start(&retry_, [](uv_timer_t*) {}, retry_ms, 0) == 0);
}

void Wakeup::stay_awake() { URING_CHECK(uv_idle_start(&awake_, [](uv_idle_t*) {}) == 0); }

void Wakeup::called_back() {
  if (preparing_) stay_awake();
}

void Wakeup::close(Callback closed) {
  closed_ = closed;
  source_->stop();
  source_->handle()->data = this;  // it is called for its closing only, from here on
  for (uv_handle_t* handle :
       {as_handle(&prepare_), as_handle(&check_), source_->handle(), as_handle(&retry_), as_handle(&awake_)}) {
    uv_close(handle, on_closed);
  }
}

void Wakeup::on_prepare(uv_prepare_t* handle) {
  Wakeup* self = owner(handle);
  self->preparing_ = true;
  self->turn_(self->context_);
  self->preparing_ = false;
}

void Wakeup::on_check(uv_check_t* handle) {
  Wakeup* self = owner(handle);
  URING_CHECK(uv_idle_stop(&self->awake_) == 0);
  self->turn_(self->context_);
}

void Wakeup::on_closed(uv_handle_t* handle) {
  Wakeup* self = owner(handle);
  if (--self->open_handles_ == 0) self->closed_(self->context_);
}

}  // namespace uring
