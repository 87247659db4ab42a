// Packed weights that several kernels share: interpreters of one model, or nodes that read the same
// constant. An entry lives as long as a kernel holds it.

#ifndef INT8X_OPS_WEIGHT_CACHE_H_
#define INT8X_OPS_WEIGHT_CACHE_H_

#include <pthread.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <vector>

namespace int8x {

class PackedWeights {
 public:
  virtual ~PackedWeights() = default;
  virtual size_t bytes() const = 0;
};

// Shared between kernels; empty when there was no memory.
using Packed = std::shared_ptr<const PackedWeights>;

// Everything that the packed form depends on: the constants' addresses (they stand still while a
// kernel holds the entry) and all numbers that were folded in.
class WeightKey {
 public:
  explicit WeightKey(const char* op) { add_bytes(op, std::strlen(op) + 1); }

  template <typename T>
  WeightKey& add(const T& value) {
    static_assert(std::is_trivially_copyable<T>::value, "keys hold plain bytes");
    return add_bytes(&value, sizeof value);
  }
  WeightKey& add_bytes(const void* data, size_t size) {
    const uint8_t* bytes = static_cast<const uint8_t*>(data);
    bytes_.insert(bytes_.end(), bytes, bytes + size);
    return *this;
  }
  const std::vector<uint8_t>& bytes() const { return bytes_; }

 private:
  std::vector<uint8_t> bytes_;
};

class WeightCache {
 public:
  WeightCache() = default;
  WeightCache(const WeightCache&) = delete;
  WeightCache& operator=(const WeightCache&) = delete;
  ~WeightCache() { pthread_mutex_destroy(&mutex_); }

  // The entry under `key`, or what `make` returns, kept under it unless it is empty.
  template <typename Make>
  Packed get(const WeightKey& key, Make make) {
    pthread_mutex_lock(&mutex_);
    Packed found;
    size_t kept = 0;
    for (size_t i = 0; i < entries_.size(); ++i) {
      Packed held = entries_[i].held.lock();
      if (held == nullptr) continue;
      if (entries_[i].key == key.bytes()) found = held;
      if (kept != i) entries_[kept] = std::move(entries_[i]);
      ++kept;
    }
    entries_.resize(kept);
    if (found == nullptr) {
      found = make();
      if (found != nullptr) entries_.push_back({key.bytes(), found});
    }
    pthread_mutex_unlock(&mutex_);
    return found;
  }

 private:
  struct Entry {
    std::vector<uint8_t> key;
    std::weak_ptr<const PackedWeights> held;
  };
  pthread_mutex_t mutex_ = PTHREAD_MUTEX_INITIALIZER;
  std::vector<Entry> entries_;
};

}  // namespace int8x

#endif  // INT8X_OPS_WEIGHT_CACHE_H_
