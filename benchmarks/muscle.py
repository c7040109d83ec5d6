"""Time and memory from files to masks and measurements, compared with nnU-Net's default 3d_fullres network on the same image with the same threads.

    python benchmarks/muscle.py ../shared/data/dixon [MODEL] [--threads 2] [--nnunet]

nnU-Net's network has random weights, which take as long as trained ones; its plan is the one that nnU-Net's planner makes for this image (patch
28 × 256 × 256, six stages of 32 to 320 features). MODEL is the packaged one by default. `--nnunet` needs PyTorch and dynamic_network_architectures.
"""

import argparse
import resource
import tempfile
import time
from pathlib import Path

import numpy as np

from lumbar.io.nifti import read_nifti, write_nifti
from lumbar.models.folder import load_folder
from lumbar.models.registry import find_folder
from lumbar.models.runtime import Network
from lumbar.muscle.engine import run_model
from lumbar.muscle.measure import measure
from lumbar.muscle.nnunet.runtime import NnunetPlan, predict_labels
from lumbar.muscle.predict import TASK

PATCH = (28, 256, 256)
STRIDES = ((1, 1, 1), (1, 2, 2), (1, 2, 2), (2, 2, 2), (2, 2, 2), (1, 2, 2))
KERNELS = ((1, 3, 3), (1, 3, 3), (3, 3, 3), (3, 3, 3), (3, 3, 3), (3, 3, 3))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dixon", type=Path)
    parser.add_argument("model", type=Path, nargs="?")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--nnunet", action="store_true")
    options = parser.parse_args()
    for label, with_fat in (("water alone", False), ("water and fat", True)):
        start, busy = time.perf_counter(), time.process_time()
        own(options.dixon, options.model or find_folder(TASK, None), options.threads, with_fat)
        print(f"lumbar, {label}, files to masks and measurements: {time.perf_counter() - start:.2f} s ({time.process_time() - busy:.2f} s of processor)")
    print(f"peak memory so far: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")
    if options.nnunet:
        clock, busy = default_nnunet(options.dixon, options.threads)
        print(f"nnU-Net 3d_fullres, default plan, ONNX Runtime: {clock:.2f} s ({busy:.2f} s of processor)")


def own(dixon: Path, folder: Path, threads: int, with_fat: bool) -> None:
    """All steps of `lumbar segment muscle` except the preview."""
    water = read_nifti(dixon / "TUM01_water.nii.gz")
    fat = read_nifti(dixon / "TUM01_fat.nii.gz") if with_fat else None
    found = run_model(load_folder(folder, threads), water, fat)
    measure(water, found.mask, fat)
    with tempfile.TemporaryDirectory() as out:
        write_nifti(Path(out) / "muscle.nii.gz", found.mask)


def default_nnunet(dixon: Path, threads: int) -> tuple[float, float]:
    """Wall and processor time for one image in seconds."""
    import torch  # noqa: PLC0415
    from dynamic_network_architectures.architectures.unet import PlainConvUNet  # noqa: PLC0415

    from lumbar.training.export import export_onnx  # noqa: PLC0415

    features = (32, 64, 128, 256, 320, 320)
    network = PlainConvUNet(
        1, len(features), features, torch.nn.Conv3d, KERNELS, STRIDES, 2, 5, 2, conv_bias=True, norm_op=torch.nn.InstanceNorm3d,
        norm_op_kwargs={"eps": 1e-5, "affine": True}, nonlin=torch.nn.LeakyReLU, nonlin_kwargs={"inplace": True},
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        # Noise, not zeros: the norms of a constant image divide rounding by rounding, and then the two runtimes differ.
        tile = torch.randn(1, 1, *PATCH, generator=torch.Generator().manual_seed(0))
        export_onnx(network, {"image": tile}, path, ["logits"], tolerance=1e-2)
        runner = Network(path.read_bytes(), str(path), threads)
    image = read_nifti(dixon / "TUM01_water.nii.gz")
    plan = NnunetPlan((4.0, 1.0185, 1.0185), PATCH, ("ZScoreNormalization",), (False,), ({},), (0, 1, 2), (0, 1, 2, 3, 4), (), None)
    start, busy = time.perf_counter(), time.process_time()
    predict_labels(np.asarray(image.array, np.float32)[None], image.grid.spacing_mm, lambda tile: runner.run({"image": tile})["logits"], plan)
    return time.perf_counter() - start, time.process_time() - busy


if __name__ == "__main__":
    main()
