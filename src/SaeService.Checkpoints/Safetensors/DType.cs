namespace SaeService.Checkpoints;

/// <summary>Element types of the safetensors format, by the names it writes.</summary>
public enum DType
{
    BOOL,
    U8,
    I8,
    F8_E5M2,
    F8_E4M3,
    I16,
    U16,
    F16,
    BF16,
    I32,
    U32,
    F32,
    F64,
    I64,
    U64,
}

public static class DTypes
{
    /// <summary>Size of one element in bytes.</summary>
    public static int Size(this DType dtype) => dtype switch
    {
        DType.BOOL or DType.U8 or DType.I8 or DType.F8_E5M2 or DType.F8_E4M3 => 1,
        DType.I16 or DType.U16 or DType.F16 or DType.BF16 => 2,
        DType.I32 or DType.U32 or DType.F32 => 4,
        _ => 8,
    };

    /// <summary>Whether weights may be stored in it: a floating type that converts to F32 without a scale.</summary>
    public static bool IsWeight(this DType dtype) => dtype is DType.F16 or DType.BF16 or DType.F32 or DType.F64;
}
