// The device as torch's dispatcher knows it: which is current, its streams, its events.
#pragma once

#include <c10/core/impl/DeviceGuardImplInterface.h>

#include <atomic>

#include "timeline.h"

namespace fakecuda {

inline std::atomic<int> device_count{1};

struct Thread {  // each has its own current device, and of each device its own current stream
  c10::DeviceIndex device = 0;
  std::map<c10::DeviceIndex, c10::StreamId> streams;
};

inline Thread& this_thread() {
  static thread_local Thread one;
  return one;
}

inline c10::StreamId default_stream(c10::DeviceIndex device) { return -1 - device; }

inline c10::StreamId current_stream(c10::DeviceIndex device) {
  auto& streams = this_thread().streams;
  auto found = streams.find(device);
  return found == streams.end() ? default_stream(device) : found->second;
}

inline c10::Device cuda(c10::DeviceIndex index) { return c10::Device(c10::DeviceType::CUDA, index); }

inline c10::DeviceIndex index_of(c10::Device device) { return device.has_index() ? device.index() : this_thread().device; }

// In graph.h, where captures are known.
void refuse_while_capturing(const std::string& what);
void refuse_while_anybody_captures(c10::DeviceIndex device, const std::string& what);
bool is_capturing(c10::StreamId stream);
void join_capture(c10::StreamId stream, const Event& event);
void note_event(c10::StreamId stream, Event& event);

inline void synchronize(c10::DeviceIndex device, const std::string& what) {
  refuse_while_anybody_captures(device, what);
  timeline().wait_for_all(device);
}

struct Guard final : public c10::impl::DeviceGuardImplInterface {
  c10::DeviceType type() const override { return c10::DeviceType::CUDA; }
  c10::DeviceIndex deviceCount() const noexcept override { return static_cast<c10::DeviceIndex>(device_count); }

  c10::Device getDevice() const override { return cuda(this_thread().device); }
  void setDevice(c10::Device device) const override {
    TORCH_CHECK(device.index() < device_count, "CUDA error: invalid device ordinal");
    if (device.has_index()) this_thread().device = device.index();
  }
  void uncheckedSetDevice(c10::Device device) const noexcept override {
    if (device.has_index()) this_thread().device = device.index();
  }
  c10::Device exchangeDevice(c10::Device device) const override {
    auto before = getDevice();
    setDevice(device);
    return before;
  }

  c10::Stream stream(c10::DeviceIndex device, c10::StreamId id) const {
    return c10::Stream(c10::Stream::UNSAFE, cuda(device), id);
  }
  c10::Stream getStream(c10::Device device) const override {
    return stream(index_of(device), current_stream(index_of(device)));
  }
  c10::Stream getDefaultStream(c10::Device device) const override {
    return stream(index_of(device), default_stream(index_of(device)));
  }
  c10::Stream getNewStream(c10::Device device, int) const override {
    static std::atomic<c10::StreamId> made{0};
    auto made_now = ++made;
    timeline().begin_stream(made_now, index_of(device));
    return stream(index_of(device), made_now);
  }
  c10::Stream getStreamFromGlobalPool(c10::Device device, bool) const override { return getNewStream(device, 0); }
  c10::Stream exchangeStream(c10::Stream next) const override {
    auto device = next.device_index();
    auto before = stream(device, current_stream(device));
    this_thread().streams[device] = next.id();
    return before;
  }
  void* getStreamNativeHandle(const c10::Stream s) const override { return reinterpret_cast<void*>(s.id()); }

  void record(void** event, const c10::Stream& on, const c10::DeviceIndex, const c10::EventFlag) const override {
    auto* made = *event ? static_cast<Event*>(*event) : new Event;
    *event = made;
    made->clock = timeline().now(on.id());
    note_event(on.id(), *made);
  }
  void block(void* event, const c10::Stream& waits) const override {
    if (!event) return;  // never recorded: over
    timeline().block(waits.id(), *static_cast<Event*>(event));
    join_capture(waits.id(), *static_cast<Event*>(event));
  }
  void destroyEvent(void* event, const c10::DeviceIndex) const noexcept override { delete static_cast<Event*>(event); }
  bool queryEvent(void* event) const override {
    refuse_while_capturing("cudaEventQuery");
    if (event) timeline().wait(static_cast<Event*>(event)->clock);  // by the time somebody asks it is over
    return true;
  }
  void synchronizeEvent(void* event) const override {
    refuse_while_capturing("cudaEventSynchronize");
    if (event) timeline().wait(static_cast<Event*>(event)->clock);
  }
  double elapsedTime(void*, void*, const c10::DeviceIndex) const override { return 0.0; }

  bool queryStream(const c10::Stream& s) const override {
    synchronizeStream(s);
    return true;
  }
  void synchronizeStream(const c10::Stream& s) const override {
    refuse_while_capturing("cudaStreamSynchronize");
    TORCH_CHECK(!is_capturing(s.id()), "CUDA error: operation not permitted when stream is capturing");
    timeline().wait(timeline().now(s.id()));
  }
  void synchronizeDevice(const c10::DeviceIndex device) const override { synchronize(device, "cudaDeviceSynchronize"); }
  bool isStreamCapturing(const c10::Stream& s) const override { return is_capturing(s.id()); }
};

}  // namespace fakecuda
