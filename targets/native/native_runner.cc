// Runs the template in C, linked in, on a model's tables and rows from files: what a C++ app does without any library.
//
//   native_runner tables.safetensors ROWS numbers.f32 codes.i32 outputs.f32
//
// Files hold plain little-endian arrays: numbers [ROWS][C] float32, NaN where missing; codes [ROWS][S] int32, -1 for an
// unknown word; outputs [ROWS][K] float32. The file of a kind of column that the model has none of isn't read.
#include "tabular.h"

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

std::vector<char> read(const std::string &path) {
    std::ifstream file(path, std::ios::binary);
    if (!file) throw std::runtime_error(path + ": can't be read");
    return {std::istreambuf_iterator<char>(file), {}};
}

// A safetensors file: the length of a JSON header in 8 bytes, the header, the tensors. The project wrote it itself, with names
// that need no escapes, so each tensor's place is found by its name.
class Tables {
public:
    explicit Tables(const std::string &path) : content_(read(path)) {
        uint64_t length = 0;
        if (content_.size() >= 8) std::memcpy(&length, content_.data(), 8);
        if (content_.size() < 8 || length > content_.size() - 8) throw std::runtime_error(path + ": cut short");
        header_.assign(content_.data() + 8, length);
        data_ = 8 + length;
    }

    template <typename T> const T *at(const char *name) const {
        const size_t entry = header_.find("\"" + std::string(name) + "\":{");
        const size_t place = entry == std::string::npos ? entry : header_.find("\"data_offsets\":[", entry);
        unsigned long long from = 0, to = 0;
        if (place == std::string::npos || std::sscanf(header_.c_str() + place, "\"data_offsets\":[%llu,%llu]", &from, &to) != 2 ||
            from > to || to > content_.size() - data_)
            throw std::runtime_error(std::string("the tables have no whole ") + name);
        return reinterpret_cast<const T *>(content_.data() + data_ + from);
    }

private:
    std::vector<char> content_;
    std::string header_;
    size_t data_ = 0;
};

tabular_model model_of(const Tables &tables) {
    tabular_model m{};
    // The struct begins with its fifteen sizes, in the order of the tensor.
    std::memcpy(&m, tables.at<int32_t>("sizes"), 15 * sizeof(int32_t));
#define PLACES(name) m.name = tables.at<int32_t>(#name)
#define WEIGHTS(name) m.name = tables.at<float>(#name)
    PLACES(wave_column), PLACES(rank_column), PLACES(flag_column), PLACES(one_hot_word), PLACES(one_hot_place);
    PLACES(sparse_column), PLACES(leaf_column);
    WEIGHTS(wave_frequency), WEIGHTS(wave_phase), WEIGHTS(median), WEIGHTS(center), WEIGHTS(scale);
    WEIGHTS(rank_knots), WEIGHTS(rank_values), WEIGHTS(dense_weight), WEIGHTS(dense_bias);
    WEIGHTS(sparse_weight), WEIGHTS(sparse_bias), WEIGHTS(leaf_slope), WEIGHTS(leaf_bias), WEIGHTS(leaf_offset);
    WEIGHTS(skip_weight), WEIGHTS(head_weight), WEIGHTS(head_bias);
    return m;
}

template <typename T> std::vector<T> read_rows(const std::string &path, size_t count) {
    std::vector<T> values(count);
    if (count == 0) return values;
    const std::vector<char> content = read(path);
    if (content.size() != count * sizeof(T)) throw std::runtime_error(path + ": another number of values");
    std::memcpy(values.data(), content.data(), content.size());
    return values;
}

void run(char **a) {
    if (tabular_abi() != TABULAR_ABI) throw std::runtime_error("tabular.c and tabular.h differ in version");
    const Tables tables(a[1]);
    const tabular_model model = model_of(tables);
    const auto rows = static_cast<size_t>(std::atoll(a[2]));
    const auto numbers = read_rows<float>(a[3], rows * model.numbers);
    const auto codes = read_rows<int32_t>(a[4], rows * model.words);
    std::vector<float> scratch(tabular_scratch(&model)), outputs(rows * model.outputs);
    tabular_predict(&model, static_cast<int32_t>(rows), numbers.data(), codes.data(), scratch.data(), outputs.data());
    std::ofstream file(a[5], std::ios::binary);
    if (!file.write(reinterpret_cast<const char *>(outputs.data()), static_cast<std::streamsize>(outputs.size() * sizeof(float))))
        throw std::runtime_error(std::string(a[5]) + ": can't be written");
    std::printf("%zu values of %zu rows\n", outputs.size(), rows);
}

}  // namespace

int main(int count, char **arguments) {
    if (count != 6) {
        std::fprintf(stderr, "usage: %s tables.safetensors ROWS numbers.f32 codes.i32 outputs.f32\n", arguments[0]);
        return 2;
    }
    try {
        run(arguments);
    } catch (const std::exception &error) {
        std::fprintf(stderr, "error: %s\n", error.what());
        return 1;
    }
    return 0;
}
