namespace SaeService.Autoencoders.Toy;

/// <summary>The features of the row that is being drawn, in ascending order.</summary>
internal sealed class ActiveFeatures(int features)
{
    private readonly int[] index = new int[features];
    private readonly float[] value = new float[features];

    public int Count { get; private set; }
    public int Feature(int position) => index[position];
    public float Value(int position) => value[position];

    public void Add(int feature, float strength)
    {
        (index[Count], value[Count]) = (feature, strength);
        Count++;
    }

    /// <summary>Ends the row.</summary>
    public void MoveTo(SparseCodesBuilder codes)
    {
        codes.Add(index.AsSpan(0, Count), value.AsSpan(0, Count));
        Count = 0;
    }
}
