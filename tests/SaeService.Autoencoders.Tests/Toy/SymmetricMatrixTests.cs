using SaeService.Autoencoders.Toy;
using Xunit;

namespace SaeService.Autoencoders.Tests.Toy;

public sealed class SymmetricMatrixTests
{
    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(9)]
    [InlineData(40)]
    public void The_factor_times_its_transpose_is_the_matrix_and_the_smallest_eigenvalue_is_the_known_one(int n)
    {
        var a = new SymmetricMatrix(n);   // second differences: eigenvalues 2 - 2 cos(k π / (n + 1))
        for (var i = 0; i < n; i++)
        {
            a[i, i] = 2;
            if (i > 0)
                a[i, i - 1] = -1;
        }
        var smallest = 2 - 2 * Math.Cos(Math.PI / (n + 1));
        Assert.Equal(smallest, a.SmallestEigenvalue(), 1e-9);
        Assert.Null(a.Cholesky(smallest + 1e-6));
        var l = a.Cholesky()!;
        for (var i = 0; i < n; i++)
            for (var j = 0; j < n; j++)
            {
                Assert.Equal(a[i, j], Enumerable.Range(0, n).Sum(k => l[i * n + k] * l[j * n + k]), 1e-12);
                Assert.True(j <= i || l[i * n + j] == 0);
            }
    }

    [Fact]
    public void An_indefinite_matrix_has_no_factor_and_a_negative_eigenvalue()
    {
        var a = new SymmetricMatrix(2) { [0, 0] = 1, [1, 0] = 2, [1, 1] = 1 };
        Assert.Null(a.Cholesky());
        Assert.Equal(-1, a.SmallestEigenvalue(), 1e-9);
    }
}
