// What a host may know of work it has enqueued: streams, events, and copies between host and device on their way.
//
// Kernels run at once, in the order of the calls. What a GPU leaves open is told by clocks: each stream numbers its work,
// and knows up to which number of every other stream its own next work comes later. The host knows the same of what it
// has waited for. A copy to the host arrives when the host has waited for it, and not before.
#pragma once

#include <ATen/ATen.h>
#include <c10/core/Stream.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

namespace fakecuda {

using Clock = std::map<c10::StreamId, uint64_t>;  // of each stream: how much of its work is over

inline void join(Clock& clock, const Clock& other) {
  for (const auto& [stream, number] : other) clock[stream] = std::max(clock[stream], number);
}

struct Moment {
  c10::StreamId stream;
  uint64_t number;

  bool before(const Clock& clock) const {
    auto found = clock.find(stream);
    return found != clock.end() && found->second >= number;
  }
};

struct Graph;

struct Event {
  Clock clock;
  Graph* graph = nullptr;  // the capture it was recorded in
};

// A copy between pinned memory and the device, not yet known to be over.
struct Transfer {
  Moment moment;
  bool to_host;
  at::Tensor host;
  at::Tensor value;  // to the host: what will arrive; to the device: what the host's memory held when it was enqueued
};

class Timeline {
 public:
  // Number the next work of `stream`.
  Moment enqueue(c10::StreamId stream) {
    std::lock_guard<std::mutex> lock(mutex_);
    auto& clock = of(stream);
    return {stream, ++clock[stream]};
  }

  Clock now(c10::StreamId stream) {
    std::lock_guard<std::mutex> lock(mutex_);
    return of(stream);
  }

  // The next work of `stream` comes after all that `event` saw.
  void block(c10::StreamId stream, const Event& event) {
    std::lock_guard<std::mutex> lock(mutex_);
    join(of(stream), event.clock);
  }

  // The host waits for all that `clock` has seen.
  void wait(const Clock& clock) {
    std::vector<Transfer> over;
    {
      std::lock_guard<std::mutex> lock(mutex_);
      join(host_, clock);
      auto waits = [this](const Transfer& transfer) { return !transfer.moment.before(host_); };
      auto rest = std::stable_partition(transfers_.begin(), transfers_.end(), waits);
      over.assign(std::make_move_iterator(rest), std::make_move_iterator(transfers_.end()));
      transfers_.erase(rest, transfers_.end());
    }
    for (auto& transfer : over) arrive(transfer);
  }

  void wait_for_all(c10::DeviceIndex device) {
    Clock everything;
    {
      std::lock_guard<std::mutex> lock(mutex_);
      for (const auto& [stream, clock] : streams_)
        if (devices_[stream] == device) join(everything, clock);
    }
    wait(everything);
  }

  void send(Transfer transfer) {
    std::lock_guard<std::mutex> lock(mutex_);
    transfers_.push_back(std::move(transfer));
  }

  void begin_stream(c10::StreamId stream, c10::DeviceIndex device) {
    std::lock_guard<std::mutex> lock(mutex_);
    devices_[stream] = device;
  }

  // What a GPU would not have refused, and would have computed wrongly.
  void report(std::string problem) {
    std::lock_guard<std::mutex> lock(mutex_);
    problems_.push_back(std::move(problem));
  }

  std::vector<std::string> take_problems() {
    std::lock_guard<std::mutex> lock(mutex_);
    return std::exchange(problems_, {});
  }

 private:
  Clock& of(c10::StreamId stream) {
    auto& clock = streams_[stream];
    join(clock, host_);  // what the host has waited for is over before anything it enqueues now
    return clock;
  }

  void arrive(Transfer& transfer) {
    auto* host = transfer.host.mutable_data_ptr();
    const auto* value = transfer.value.const_data_ptr();
    const size_t bytes = transfer.host.nbytes();
    if (transfer.to_host)
      transfer.host.copy_(transfer.value);
    else if (std::memcmp(host, value, bytes) != 0)
      report("pinned memory was changed before its copy to the device was over");
  }

  std::mutex mutex_;
  std::map<c10::StreamId, Clock> streams_;
  std::map<c10::StreamId, c10::DeviceIndex> devices_;
  Clock host_;
  std::vector<Transfer> transfers_;
  std::vector<std::string> problems_;
};

inline Timeline& timeline() {
  static auto& one = *new Timeline;  // never destroyed: tensors may outlive this library's statics
  return one;
}

}  // namespace fakecuda
