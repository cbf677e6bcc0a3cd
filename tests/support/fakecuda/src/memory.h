// Memory of the device, which is the machine's: counted, limited where a test wants that, filled with nonsense when new.
#pragma once

#include <c10/core/Allocator.h>
#include <c10/core/CPUAllocator.h>
#include <c10/core/Storage.h>

#include <array>
#include <cstdlib>

#include "device.h"

namespace fakecuda {

// In graph.h: what is made while a graph is captured belongs to it.
void remember(const c10::Storage& made, c10::DeviceIndex device);

struct Counts {
  int64_t bytes = 0, peak = 0, allocations = 0;
};

constexpr int kMostDevices = 8;
constexpr uint8_t kNonsense = 0xFF;                  // NaN of every float, −1 of every whole number
constexpr size_t kFilled = size_t(64) << 20;         // larger blocks stay untouched, as filling them would take seconds

inline std::mutex memory_mutex;
inline std::array<Counts, kMostDevices> counts;
inline int64_t most_bytes = 0;  // of a device; 0: no limit

struct Block {
  void* data;
  size_t bytes;
  c10::DeviceIndex device;
  c10::Storage kept;  // of a CPU's kernel that made it; empty: allocated here
};

inline void count(c10::DeviceIndex device, size_t bytes) {
  std::lock_guard<std::mutex> lock(memory_mutex);
  auto& counted = counts.at(device);
  TORCH_CHECK_WITH(
      OutOfMemoryError, !most_bytes || counted.bytes + static_cast<int64_t>(bytes) <= most_bytes,
      "CUDA out of memory. Tried to allocate ", bytes / double(1 << 20), " MiB.");
  counted.allocations++;
  counted.bytes += bytes;
  counted.peak = std::max(counted.peak, counted.bytes);
}

inline void release(void* context) {
  auto* block = static_cast<Block*>(context);
  {
    std::lock_guard<std::mutex> lock(memory_mutex);
    counts.at(block->device).bytes -= block->bytes;
  }
  if (!block->kept) std::free(block->data);
  delete block;
}

struct Allocator final : public c10::Allocator {
  c10::DataPtr allocate(size_t bytes) override {
    auto device = this_thread().device;
    count(device, bytes);
    void* data = nullptr;
    if (posix_memalign(&data, 512, std::max<size_t>(bytes, 1))) throw std::bad_alloc();
    if (bytes <= kFilled) std::memset(data, kNonsense, bytes);
    return {data, new Block{data, bytes, device, {}}, &release, cuda(device)};
  }
  void copy_data(void* to, const void* from, size_t bytes) const override { default_copy_data(to, from, bytes); }
};

inline Allocator& allocator() {
  static Allocator one;
  return one;
}

// Memory that a CPU's kernel has allocated, from now on the device's.
inline c10::DataPtr adopted(const c10::Storage& made, c10::DeviceIndex device) {
  count(device, made.nbytes());
  auto* data = const_cast<void*>(made.data());
  return {data, new Block{data, made.nbytes(), device, made}, &release, cuda(device)};
}

// Pinned memory of the host, known by its addresses.
struct PinnedAllocator final : public c10::Allocator {
  c10::DataPtr allocate(size_t bytes) override {
    void* data = nullptr;
    if (posix_memalign(&data, 512, std::max<size_t>(bytes, 1))) throw std::bad_alloc();
    std::lock_guard<std::mutex> lock(mutex_);
    ranges_[static_cast<char*>(data)] = std::max<size_t>(bytes, 1);
    return {data, data, &forget, c10::Device(c10::DeviceType::CPU)};
  }
  void copy_data(void* to, const void* from, size_t bytes) const override { default_copy_data(to, from, bytes); }

  static bool holds(const void* data) {
    std::lock_guard<std::mutex> lock(mutex_);
    auto after = ranges_.upper_bound(static_cast<char*>(const_cast<void*>(data)));
    if (after == ranges_.begin()) return false;
    const auto& [begin, bytes] = *std::prev(after);
    return static_cast<const char*>(data) < begin + bytes;
  }

 private:
  static void forget(void* data) {
    std::lock_guard<std::mutex> lock(mutex_);
    ranges_.erase(static_cast<char*>(data));
    std::free(data);
  }

  static inline std::mutex mutex_;
  static inline auto& ranges_ = *new std::map<char*, size_t>;  // never destroyed: a tensor may go last
};

inline PinnedAllocator& pinned_allocator() {
  static PinnedAllocator one;
  return one;
}

}  // namespace fakecuda
