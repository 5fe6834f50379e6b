/* Loads an ONNX model, runs it once on inputs filled with ones, and prints its outputs' shapes.
 * Build: see CMakeLists.txt beside this file, or cc run_model.c $(pkg-config --cflags --libs heddle) */
#include <heddle/heddle.h>
#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv)
{
    hd_device *device = NULL;
    hd_model *model = NULL;
    hd_error error = {0};
    hd_tensor inputs[8] = {{0}}, outputs[8] = {{0}};
    size_t input_count = 0, output_count = 0;
    int exit_code = 1;

    if (argc != 2)
        return fprintf(stderr, "usage: %s MODEL.onnx\n", argv[0]), 2;
    if (hd_device_open("cpu", NULL, &device, &error) != HD_OK ||
        hd_model_load(device, argv[1], NULL, &model, &error) != HD_OK)
        goto fail;
    output_count = hd_model_output_count(model);
    if (hd_model_input_count(model) > 8 || output_count > 8)
        goto fail;
    for (; input_count < hd_model_input_count(model); input_count++) {
        hd_value_info info = {.struct_size = sizeof info};
        hd_tensor *input = &inputs[input_count]; /* name NULL: by position */
        if (hd_model_input_info(model, input_count, &info) != HD_OK || info.rank > HD_MAX_RANK)
            goto fail;
        *input =
            (hd_tensor){.dtype = info.dtype, .rank = info.rank, .size = hd_dtype_size(info.dtype)};
        for (uint32_t i = 0; i < info.rank; i++) {
            input->dims[i] = info.dims[i] > 0 ? info.dims[i] : 4; /* unknown ones: as you like */
            input->size *= (size_t)input->dims[i];
        }
        if ((input->data = calloc(input->size, 1)) == NULL)
            goto fail;
        for (size_t i = 0; info.dtype == HD_FLOAT32 && i < input->size / 4; i++)
            ((float *)input->data)[i] = 1.0f;
        for (size_t i = 0; info.dtype == HD_INT64 && i < input->size / 8; i++)
            ((int64_t *)input->data)[i] = 1;
    }
    /* Any number of threads may make this call at once, on the same model. */
    if (hd_model_run(model, inputs, input_count, outputs, output_count, &error) != HD_OK)
        goto fail;
    for (size_t i = 0; i < output_count; i++) {
        printf("output %zu: %s", i, hd_dtype_name(outputs[i].dtype));
        for (uint32_t d = 0; d < outputs[i].rank; d++)
            printf("%s%lld", d == 0 ? " " : "x", (long long)outputs[i].dims[d]);
        printf(", %zu bytes\n", outputs[i].size);
    }
    exit_code = 0;
fail:
    if (exit_code != 0)
        fprintf(stderr, "run_model: %s\n", error.message);
    for (size_t i = 0; i < 8; i++) {
        free(inputs[i].data);
        hd_tensor_release(&outputs[i]);
    }
    hd_model_destroy(&model);
    hd_device_destroy(&device);
    return exit_code;
}
