/* The checks with the inputs in the files that are named: to see a finding again, or what a corpus
 * covers. */
#include "checks.h"

int main(int argc, char **argv)
{
    ropeway_utf8_prepare();
    for (int i = 1; i < argc; i++) {
        FILE *const file = fopen(argv[i], "rb");
        if (file == NULL) {
            perror(argv[i]);
            return 2;
        }
        static uint8_t data[1 << 20];
        const size_t size = fread(data, 1, sizeof data, file);
        fclose(file);
        check_input(data, size);
    }
    printf("%d inputs, %s\n", argc - 1, ropeway_utf8_is_fast() ? "with AVX2" : "without AVX2");
    return 0;
}
