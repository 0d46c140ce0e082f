// Predicts the rows of a CSV file, or of standard input, and prints a CSV line for each. Edit it as you like.
#include "csv.h"
#include "reading.h"
#include "row.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>
#include <iostream>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

using Record = std::vector<std::string>;

class Rows {
  public:
    explicit Rows(const std::string &name) : name_(name == "-" ? "standard input" : name) {
        reader_.file = name == "-" ? stdin : std::fopen(name.c_str(), "rb");
        if (!reader_.file) throw std::runtime_error(name + ": the file can't be opened");
    }
    ~Rows() {
        if (reader_.file != stdin) std::fclose(reader_.file);
        csv_free(&reader_);
    }
    Rows(const Rows &) = delete;
    Rows &operator=(const Rows &) = delete;

    bool next(Record &record) {
        const int state = csv_read(&reader_);
        if (state < 0) throw error("a quote is opened and not closed, or memory ran out");
        record.clear();
        for (int i = 0; state && i < reader_.count; i++) record.emplace_back(csv_cell(&reader_, i));
        return state != 0;
    }

    std::runtime_error error(const std::string &what) const {
        return std::runtime_error(name_ + ", line " + std::to_string(reader_.line) + ": " + what);
    }

  private:
    std::string name_;
    csv_reader reader_{};
};

// A header's cell without blanks around it; one without a name is called by its place.
std::string heading(const Record &header, std::size_t place) {
    const std::string &cell = header[place];
    const auto first = cell.find_first_not_of(" \t");
    if (first == std::string::npos) return "column_" + std::to_string(place + 1);
    return cell.substr(first, cell.find_last_not_of(" \t") - first + 1);
}

// Where each of the model's columns stands in the file.
std::array<std::size_t, ROW_COLUMNS> find_columns(const Rows &rows, const Record &header) {
    Record names;
    for (std::size_t i = 0; i < header.size(); i++) names.push_back(heading(header, i));
    std::array<std::size_t, ROW_COLUMNS> places{};
    for (std::size_t c = 0; c < ROW_COLUMNS; c++) {
        const auto found = std::find(names.begin(), names.end(), row_columns[c].name);
        if (found == names.end()) throw rows.error(std::string("the header has no column ") + row_columns[c].name);
        places[c] = static_cast<std::size_t>(found - names.begin());
    }
    return places;
}

float read_numeric(const std::string &cell, const row_column &column) {
    if (column.type == ROW_DATE) return read_days(cell.c_str(), column.format);
    return read_number(cell.c_str(), column.decimal);
}

void print(std::int32_t best, const std::array<float, MODEL_OUTPUTS> &outputs) {
    if (ROW_CLASSES == 0) {
        std::printf("%.6g\n", static_cast<double>(outputs[0]));
        return;
    }
    std::fputs(row_csv_labels[best], stdout);
    for (const float probability : outputs) std::printf(",%.6g", static_cast<double>(probability));
    std::fputc('\n', stdout);
}

void predict(const std::string &name) {
    Rows rows(name);
    Record header, record;
    if (!rows.next(header)) throw rows.error("the file is empty");
    const auto places = find_columns(rows, header);
    model_scratch scratch;
    std::puts(row_csv_header);
    while (rows.next(record)) {
        if (record.size() < header.size()) throw rows.error("the row has fewer cells than the header");
        std::array<float, ROW_COLUMNS> numbers{};
        std::array<std::int32_t, ROW_COLUMNS> codes{};
        std::array<float, MODEL_OUTPUTS> outputs{};
        for (int c = 0; c < MODEL_NUMBERS; c++) numbers[c] = read_numeric(record[places[c]], row_columns[c]);
        for (int s = 0; s < MODEL_CATEGORIES; s++) {
            const row_column &column = row_columns[MODEL_NUMBERS + s];
            codes[s] = find_word(record[places[MODEL_NUMBERS + s]].c_str(), column.vocabulary, column.words);
        }
        print(model_predict(numbers.data(), codes.data(), outputs.data(), &scratch), outputs);
    }
    if (std::fflush(stdout) != 0) throw rows.error("the predictions can't be written");
}

} // namespace

int main(int count, char **arguments) {
    const std::string name = count > 1 ? arguments[1] : "-";
    if (count > 2 || name == "-h" || name == "--help") {
        std::cerr << "usage: " << arguments[0] << " [FILE.csv]   (standard input without a file)\n";
        return count > 2 ? 2 : 0;
    }
    try {
        predict(name);
    } catch (const std::exception &error) {
        std::cerr << "error: " << error.what() << '\n';
        return 1;
    }
    return 0;
}
