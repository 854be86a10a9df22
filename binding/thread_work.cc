#include "thread_work.h"

#include <algorithm>
#include <vector>

#include <sys/mman.h>

#include "buffer_arena.h"
#include "file_calls.h"
#include "small_files.h"

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

// One huge page at a time: who maps memory meanwhile, as V8 does, waits for one.
class Populating : public Napi::AsyncWorker {
 public:
  Populating(std::span<char> memory, Napi::Function done) : Napi::AsyncWorker(done, "uring-streams.memory"), memory_(memory) {}

 protected:
  void Execute() override {
    constexpr int populate_write = 23;  // MADV_POPULATE_WRITE: as if each page were written, and none changes
    constexpr size_t step = BufferArena::segment_bytes;
    for (size_t at = 0; at < memory_.size(); at += step) {
      madvise(memory_.data() + at, std::min(step, memory_.size() - at), populate_write);
    }
  }

  void OnOK() override { Callback().Call({}); }

 private:
  const std::span<char> memory_;
};

class SmallFiles : public Napi::AsyncWorker {
 public:
  SmallFiles(Napi::Buffer<char> paths, bool clone, Napi::Float64Array results, Napi::Function done)
      : Napi::AsyncWorker(done, "uring-streams.small-files"),
        paths_(paths.Data(), paths.Data() + paths.Length()),
        clone_(clone),
        results_(results.ElementLength()),
        array_(Napi::Persistent(results)) {}

 protected:
  void Execute() override { copy_small_files(paths_, clone_, results_); }

  void OnOK() override {
    std::copy(results_.begin(), results_.end(), array_.Value().Data());
    Callback().Call({});
  }

 private:
  const std::vector<char> paths_;
  const bool clone_;
  std::vector<int64_t> results_;
  Napi::Reference<Napi::Float64Array> array_;
};

}  // namespace

void start_populating(std::span<char> memory, Napi::Function done) { (new Populating(memory, done))->Queue(); }

void start_small_files(const Napi::CallbackInfo& info) {
  const auto paths = info[0].As<Napi::Buffer<char>>();
  const bool clone = info[1].As<Napi::Boolean>();
  (new SmallFiles(paths, clone, info[2].As<Napi::Float64Array>(), info[3].As<Napi::Function>()))->Queue();
}

void start_file_work(const Napi::CallbackInfo& info) {
  const auto number = [&](size_t index) { return info[index].As<Napi::Number>().Int32Value(); };
  const auto call = static_cast<FileCall>(number(0));
  (new FileWork(call, number(1), number(2), info[3].As<Napi::Float64Array>(), info[4].As<Napi::Function>()))->Queue();
}

}  // namespace uring
