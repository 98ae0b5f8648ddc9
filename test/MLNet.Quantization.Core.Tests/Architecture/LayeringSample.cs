// Types of a made-up lower room, each of which uses a made-up upper room in one way only.
#pragma warning disable IDE0051, IDE0052, CA1822, CS0649, CS0169, IDE0044, IDE0060

using LayeringSample.Upper;

namespace LayeringSample
{
    internal class Root
    {
        public Target? Field;
    }
}

namespace LayeringSample.Unlisted
{
    internal class Type;
}

namespace LayeringSample.Upper
{
    internal class Target
    {
        public static int Number;

        public static int Get() => 1;

        public static T Echo<T>(T value) => value;
    }

    internal class Generic<T>
    {
        public static int Get() => 1;
    }

    internal interface IContract;

    internal sealed class MarkAttribute : Attribute;

    internal sealed class UpperException : Exception;
}

namespace LayeringSample.Lower
{
    internal class ByBase : Target;

    internal class ByInterface : IContract;

    internal class ByConstraint<T> where T : IContract;

    internal class ByMethodConstraint
    {
        public void Method<T>() where T : IContract { }
    }

    [Mark]
    internal class ByAttribute;

    internal class ByField
    {
        private readonly Target[]? _field;
    }

    internal class ByParameter
    {
        public void Method(List<Target> parameter) { }
    }

    internal class ByReturn
    {
        public Target? Property => null;
    }

    internal class ByCall
    {
        public int Method() => Target.Get();
    }

    internal class ByStaticField
    {
        public int Method() => Target.Number;
    }

    internal class ByGenericCall
    {
        public int Method() => Generic<int>.Get();
    }

    internal class ByTypeArgument
    {
        public int Method() => Enumerable.Empty<Target>().Count();
    }

    internal class ByTypeToken
    {
        public string Method() => typeof(Target).Name;
    }

    internal class ByCast
    {
        public bool Method(object o) => o is Target;
    }

    internal class ByCatch
    {
        public int Method(string text)
        {
            try
            {
                return text.Length;
            }
            catch (UpperException)
            {
                return 0;
            }
        }
    }

    internal class ByLambda
    {
        public Func<int> Method(int x) => () => x + Target.Get();
    }

    internal class ByNestedType
    {
        private sealed class Nested : IContract;
    }

    internal class AfterSwitch
    {
        public int Method(int x) => x switch { 0 => 5, 1 => 7, 2 => 1, 3 => 9, 4 => 11, _ => Target.Get() };
    }

    internal unsafe class ByFunctionPointer
    {
        private readonly delegate*<Target, void> _field;
    }
}
