#include "file_work.h"

#include <algorithm>
#include <vector>

#include "file_calls.h"

namespace uring {
namespace {

// The thread has numbers of its own: the array is JavaScript's. It deletes itself when it is done.
class FileWork : public Napi::AsyncWorker {
 public:
  FileWork(FileCall call, int source, int target, Napi::Float64Array numbers, Napi::Function done)
      : Napi::AsyncWorker(done, "uring-streams.file"),
        call_(call),
        source_(source),
        target_(target),
        numbers_(numbers.Data(), numbers.Data() + numbers.ElementLength()),
        array_(Napi::Persistent(numbers)) {}

 protected:
  void Execute() override { result_ = file_call(call_, source_, target_, numbers_); }

  void OnOK() override {
    double* out = array_.Value().Data();
    std::copy(numbers_.begin(), numbers_.end(), out);
    Callback().Call({Napi::Number::New(Env(), static_cast<double>(result_))});
  }

 private:
  const FileCall call_;
  const int source_;
  const int target_;
  int64_t result_ = 0;
  std::vector<int64_t> numbers_;
  Napi::Reference<Napi::Float64Array> array_;
};

}  // namespace

void start_file_work(const Napi::CallbackInfo& info) {
  const auto number = [&](size_t index) { return info[index].As<Napi::Number>().Int32Value(); };
  const auto call = static_cast<FileCall>(number(0));
  (new FileWork(call, number(1), number(2), info[3].As<Napi::Float64Array>(), info[4].As<Napi::Function>()))->Queue();
}

}  // namespace uring
